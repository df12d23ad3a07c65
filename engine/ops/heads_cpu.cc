#include <algorithm>

#include "engine/ops/heads.h"
#include "engine/ops/rounding.h"

namespace longshadow {

template <class T, class P>
void split_heads(MatrixView<const T> x, HeadRows<P> to) {
  require_heads("split_heads", "to", to, to.n_heads, x.rows, to.head_dim);
  require_equal("split_heads", "x.cols", x.cols, to.n_heads * to.head_dim);
  for (std::size_t head = 0; head < to.n_heads; ++head) {
    round_rows(x.column_range(head * to.head_dim, to.head_dim), to.head(head).row_range(0, x.rows));
  }
}

template <class T>
void copy_head_rows(Cpu& device, HeadRows<const T> from, std::size_t count, HeadRows<T> to,
                    std::size_t first) {
  check_copy_head_rows(from, count, to, first);
  device.parallel_for(from.n_heads, [&](std::size_t head) {
    std::copy_n(from.head(head).data, count * from.head_dim, to.head(head).row(first));
  });
}

#define LONGSHADOW_INSTANTIATE(T)                              \
  template void split_heads(MatrixView<const T>, HeadRows<T>); \
  template void copy_head_rows(Cpu&, HeadRows<const T>, std::size_t, HeadRows<T>, std::size_t);
LONGSHADOW_INSTANTIATE(float)
template void split_heads(MatrixView<const float>, HeadRows<BF16>);
LONGSHADOW_INSTANTIATE(double)
#undef LONGSHADOW_INSTANTIATE

}  // namespace longshadow
