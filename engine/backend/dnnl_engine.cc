#include "engine/backend/dnnl_engine.h"

#include <omp.h>

namespace longshadow {

const dnnl::engine& dnnl_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  // A primitive keeps the number of threads that OpenMP offers the thread which makes it.
  thread_local bool one_thread = false;
  if (!one_thread) {
    omp_set_num_threads(1);
    one_thread = true;
  }
  return engine;
}

dnnl::stream& dnnl_stream() {
  thread_local dnnl::stream stream(dnnl_engine());
  return stream;
}

}  // namespace longshadow
