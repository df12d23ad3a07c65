#pragma once

#include <array>

#include "engine/backend/cuda/host/executor.h"

namespace longshadow::test {

inline constexpr std::array kThreadOrders{host_cuda::ThreadOrder::ascending,
                                          host_cuda::ThreadOrder::descending,
                                          host_cuda::ThreadOrder::shuffled};

/// Kernels run their threads in this order while it exists.
class InThreadOrder {
 public:
  explicit InThreadOrder(host_cuda::ThreadOrder order) { host_cuda::set_thread_order(order); }
  ~InThreadOrder() { host_cuda::set_thread_order(host_cuda::ThreadOrder::ascending); }
  InThreadOrder(const InThreadOrder&) = delete;
  InThreadOrder& operator=(const InThreadOrder&) = delete;
};

}  // namespace longshadow::test
