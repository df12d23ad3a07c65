#pragma once

#include <array>

#include "engine/cuda/cuda.h"
#ifdef LONGSHADOW_CUDA_HOST
#include "engine/cuda/host/executor.h"
#endif

namespace longshadow::test {

#ifdef LONGSHADOW_CUDA_HOST
using host_cuda::set_thread_order;
using host_cuda::ThreadOrder;
inline constexpr std::array kThreadOrders{ThreadOrder::ascending, ThreadOrder::descending,
                                          ThreadOrder::shuffled};
#else
/// A GPU's threads run as they run.
enum class ThreadOrder { ascending };
inline void set_thread_order(ThreadOrder) {}
inline constexpr std::array kThreadOrders{ThreadOrder::ascending};
#endif

/// Kernels run their threads in this order while it exists.
class InThreadOrder {
 public:
  explicit InThreadOrder(ThreadOrder order) { set_thread_order(order); }
  ~InThreadOrder() { set_thread_order(ThreadOrder::ascending); }
  InThreadOrder(const InThreadOrder&) = delete;
  InThreadOrder& operator=(const InThreadOrder&) = delete;
};

}  // namespace longshadow::test
