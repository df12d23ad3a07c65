#pragma once

#include <tbb/parallel_for.h>

#include <cstddef>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace longshadow {

#ifdef __SANITIZE_THREAD__
/// Tells ThreadSanitizer, which does not see how libtbb hands work to threads, that a call happens
/// after what came before the loop and before what follows it. Calls stay unordered among
/// themselves. Not sanitized itself, because its own members are handed over unseen.
template <class Body>
class OrderedCall {
 public:
  OrderedCall(const Body& body, char* begin, char* end) : body_(body), begin_(begin), end_(end) {}

  __attribute__((no_sanitize("thread"), noinline)) void operator()(std::size_t i) const {
    __tsan_acquire(begin_);
    const AtExit at_exit{end_};
    body_(i);
  }

 private:
  struct AtExit {
    char* end;
    __attribute__((no_sanitize("thread"), noinline)) ~AtExit() { __tsan_release(end); }
  };
  const Body& body_;
  char* begin_;
  char* end_;
};
#endif

/// Calls body(i) for every i in [0, count), in any order, on the threads of the task arena that the
/// caller is in. An exception that a call throws is rethrown here after the calls under way have
/// ended.
template <class Body>
void parallel_for(std::size_t count, const Body& body) {
#ifdef __SANITIZE_THREAD__
  struct AtExit {
    char* end;
    ~AtExit() { __tsan_acquire(end); }
  };
  char begin, end;
  const AtExit at_exit{&end};
  __tsan_release(&begin);
  tbb::parallel_for(std::size_t{0}, count, OrderedCall<Body>(body, &begin, &end));
#else
  tbb::parallel_for(std::size_t{0}, count, body);
#endif
}

}  // namespace longshadow
