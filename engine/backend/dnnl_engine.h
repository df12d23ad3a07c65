#pragma once

#include <dnnl.hpp>

namespace longshadow {

/// The process's one oneDNN engine, and the calling thread's stream on it. A primitive made with
/// them runs on the calling thread alone.
const dnnl::engine& dnnl_engine();
dnnl::stream& dnnl_stream();

}  // namespace longshadow
