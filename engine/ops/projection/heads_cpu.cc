#include <algorithm>

#include "engine/backend/cpu.h"
#include "engine/ops/common/rounding.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {

template <class T, class P>
void split_heads(MatrixView<const T> x, HeadRows<P> to) {
  require_heads("split_heads", "to", to, to.n_heads, x.rows, to.head_dim);
  require_equal("split_heads", "x.cols", x.cols, to.n_heads * to.head_dim);
  for (std::size_t head = 0; head < to.n_heads; ++head) {
    round_rows(x.column_range(head * to.head_dim, to.head_dim), to.head(head).row_range(0, x.rows));
  }
}

namespace {

void check_copy_head_rows(ConstHeadsView from, std::size_t count, HeadsView to, std::size_t first) {
  require_heads("copy_head_rows", "from", from, to.n_heads, count, to.head_dim);
  require_at_most("copy_head_rows", "first + count", first + count, to.rows);
}

template <class T>
void copy_head_rows_on_cpu(Cpu& device, HeadRows<const T> from, std::size_t count, HeadRows<T> to,
                           std::size_t first) {
  device.parallel_for(from.n_heads, [&](std::size_t head) {
    std::copy_n(from.head(head).data, count * from.head_dim, to.head(head).row(first));
  });
}

}  // namespace

void copy_head_rows(Device& device, ConstHeadsView from, std::size_t count, HeadsView to,
                    std::size_t first) {
  check_copy_head_rows(from, count, to, first);
  if (CopyHeadRowsKernel::ran_elsewhere(device, from, count, to, first)) return;
  with_element<float, double>("copy_head_rows", from.element, [&]<class T>() {
    copy_head_rows_on_cpu<T>(cpu_of(device), from.as<T>(), count, to.as<T>(), first);
  });
}

template void split_heads(MatrixView<const float>, HeadRows<float>);
template void split_heads(MatrixView<const float>, HeadRows<BF16>);
template void split_heads(MatrixView<const double>, HeadRows<double>);

}  // namespace longshadow
