#include "engine/cuda/launch.h"
#include "engine/ops/projection/heads.h"

namespace longshadow {
namespace {

template <class T>
__global__ void copy_head_kernel(HeadRows<const T> from, std::size_t count, HeadRows<T> to,
                                 std::size_t first) {
  const std::size_t i = global_thread();
  const std::size_t of_head = count * from.head_dim;
  if (i >= from.n_heads * of_head) return;
  const std::size_t head = i / of_head;
  to.head(head).row(first)[i % of_head] = from.head(head).data[i % of_head];
}

template <class T>
void copy_head_rows_on_cuda(Cuda& device, HeadRows<const T> from, std::size_t count, HeadRows<T> to,
                            std::size_t first) {
  launch_elements(device, copy_head_kernel<T>, from.n_heads * count * from.head_dim, from, count,
                  to, first);
}

}  // namespace

void implement_copy_head_rows() {
  CopyHeadRowsKernel::implement(
      [](Cuda& device, ConstHeadsView from, std::size_t count, HeadsView to, std::size_t first) {
        with_element<float, double>("copy_head_rows", from.element, [&]<class T>() {
          copy_head_rows_on_cuda<T>(device, from.as<T>(), count, to.as<T>(), first);
        });
      });
}

}  // namespace longshadow
