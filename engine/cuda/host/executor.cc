#include "engine/cuda/host/executor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/cuda/host/fiber.h"

namespace longshadow::host_cuda {
namespace {

constexpr unsigned kMaxThreads = 1024;
constexpr std::size_t kMaxSharedBytes = 48 * 1024;  // of all cards, without asking for more

ThreadOrder thread_order = ThreadOrder::ascending;

/// The numbers [0, n) as they are to be taken.
class Order {
 public:
  explicit Order(unsigned n) : numbers_(n) {
    std::iota(numbers_.begin(), numbers_.end(), 0u);
    if (thread_order == ThreadOrder::descending) std::reverse(numbers_.begin(), numbers_.end());
  }

  /// Another one each time where the order is shuffled.
  const std::vector<unsigned>& next() {
    if (thread_order == ThreadOrder::shuffled) {
      std::shuffle(numbers_.begin(), numbers_.end(), random_);
    }
    return numbers_;
  }

 private:
  std::vector<unsigned> numbers_;
  std::minstd_rand random_{1};
};

/// Ends a thread whose block cannot go on.
struct Abandoned {};

enum class State { fresh, runnable, at_barrier, at_warp_operation, ended };

struct Thread {
  State state = State::fresh;
  std::unique_ptr<Fiber> fiber;  ///< while it is under way
  SourceLine where;              ///< of the barrier or warp operation that it waits at
  std::uint64_t given = 0;       ///< to the warp
};

std::string name_of(const SourceLine& where) {
  return std::string(where.file) + ":" + std::to_string(where.line);
}

bool same_place(const SourceLine& a, const SourceLine& b) {
  return a.line == b.line && std::strcmp(a.file, b.file) == 0;
}

/// Kept from grid to grid: a new stack costs more than most threads do.
thread_local std::vector<std::unique_ptr<Fiber>> idle_fibers;

/// The threads of one block at a time. Blocks that follow use the same fibers.
class Block {
 public:
  Block(unsigned n_blocks, unsigned n_threads, std::size_t shared_bytes,
        const std::function<void()>& thread)
      : place_{0, n_blocks, 0, n_threads},
        threads_(n_threads),
        order_(n_threads),
        shared_(shared_bytes),
        warp_values_(n_threads),
        work_([this, &thread] { run_thread(thread); }) {}

  void run(unsigned block) {
    place_.block = block;
    for (Thread& thread : threads_) thread.state = State::fresh;
    std::fill(shared_.begin(), shared_.end(), std::byte{0xff});  // NaN in every type
    failure_ = nullptr;
    n_ended_ = 0;
    while (n_ended_ < threads_.size()) {
      for (const unsigned number : order_.next()) go_on(number);
      if (failure_ == nullptr && !release()) fail();
      if (failure_ != nullptr) abandon();
    }
    if (failure_ != nullptr) std::rethrow_exception(failure_);
  }

  const ThreadPlace& place() const { return place_; }
  void* shared_memory() { return shared_.data(); }

  void wait(State state, SourceLine where) {
    Thread& thread = current();
    thread.state = state;
    thread.where = where;
    thread.fiber->stop();
    if (failure_ != nullptr) throw Abandoned{};
  }

  const std::uint64_t* exchange(std::uint64_t value, SourceLine where) {
    current().given = value;
    wait(State::at_warp_operation, where);
    return warp_values_.data() + place_.thread / kWarpSize * kWarpSize;
  }

 private:
  Thread& current() { return threads_[place_.thread]; }

  /// What a fiber does. The block is told of an exception; none may leave the fiber.
  void run_thread(const std::function<void()>& thread) {
    try {
      thread();
    } catch (const Abandoned&) {
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  /// Runs a thread that does not wait as far as it gets.
  void go_on(unsigned number) {
    place_.thread = number;
    Thread& thread = threads_[number];
    bool ended;
    if (thread.state == State::fresh && failure_ == nullptr) {
      thread.fiber = idle_fiber();
      ended = thread.fiber->start(work_);
    } else if (thread.state == State::runnable) {
      ended = thread.fiber->resume();
    } else {
      return;
    }
    if (ended) end(thread);
  }

  void end(Thread& thread) {
    thread.state = State::ended;
    idle_fibers.push_back(std::move(thread.fiber));
    ++n_ended_;
  }

  static std::unique_ptr<Fiber> idle_fiber() {
    if (idle_fibers.empty()) return std::make_unique<Fiber>();
    std::unique_ptr<Fiber> fiber = std::move(idle_fibers.back());
    idle_fibers.pop_back();
    return fiber;
  }

  /// Whether all of [first, end) wait in this state and in one place.
  bool have_met(std::size_t first, std::size_t end, State state) const {
    const Thread& one = threads_[first];
    return std::all_of(threads_.begin() + static_cast<std::ptrdiff_t>(first),
                       threads_.begin() + static_cast<std::ptrdiff_t>(end), [&](const Thread& it) {
                         return it.state == state && same_place(it.where, one.where);
                       });
  }

  /// Lets those go on that have met; false where nobody can.
  bool release() {
    if (n_ended_ == threads_.size()) return true;
    if (have_met(0, threads_.size(), State::at_barrier)) {
      for (Thread& thread : threads_) thread.state = State::runnable;
      return true;
    }
    bool any = false;
    for (std::size_t first = 0; first < threads_.size(); first += kWarpSize) {
      if (!have_met(first, first + kWarpSize, State::at_warp_operation)) continue;
      any = true;
      for (std::size_t i = first; i < first + kWarpSize; ++i) {
        warp_values_[i] = threads_[i].given;
        threads_[i].state = State::runnable;
      }
    }
    return any;
  }

  /// Says where one thread waits, and where another one is that does not come.
  void fail() {
    const auto waits = [](const Thread& thread) { return thread.state != State::ended; };
    const auto one = std::find_if(threads_.begin(), threads_.end(), waits);
    const auto other = std::find_if(threads_.begin(), threads_.end(), [&](const Thread& it) {
      return it.state != one->state || !same_place(it.where, one->where);
    });
    const auto number = [&](auto at) { return std::to_string(at - threads_.begin()); };
    failure_ = std::make_exception_ptr(
        Error("divergent barrier: in block " + std::to_string(place_.block) + " thread " +
              number(one) + " waits at " + name_of(one->where) + ", where thread " + number(other) +
              " does not come: it " +
              (waits(*other) ? "waits at " + name_of(other->where) : "has ended")));
  }

  /// Ends the threads that are left.
  void abandon() {
    for (unsigned number = 0; number < threads_.size(); ++number) {
      Thread& thread = threads_[number];
      if (thread.state == State::ended) continue;
      if (thread.state == State::fresh) {
        thread.state = State::ended;
        ++n_ended_;
        continue;
      }
      thread.state = State::runnable;
      go_on(number);
    }
  }

  ThreadPlace place_;
  std::vector<Thread> threads_;
  Order order_;
  std::vector<std::byte> shared_;  ///< of exactly the size asked for, which AddressSanitizer guards
  std::vector<std::uint64_t> warp_values_;
  const std::function<void()> work_;
  std::size_t n_ended_ = 0;
  std::exception_ptr failure_;
};

thread_local Block* running = nullptr;

/// Whether the barrier is the one that LONGSHADOW_LEFT_OUT_BARRIER names: "x_cuda.cu:39".
bool is_left_out(SourceLine where) {
  static const char* const left_out = std::getenv("LONGSHADOW_LEFT_OUT_BARRIER");
  if (left_out == nullptr) return false;
  const std::string path = std::string(where.file) + ":" + std::to_string(where.line);
  return path.ends_with(std::string("/") + left_out);
}

}  // namespace

void set_thread_order(ThreadOrder order) { thread_order = order; }

void run_grid(unsigned n_blocks, unsigned block_threads, std::size_t shared_bytes,
              const std::function<void()>& thread) {
  if (block_threads == 0 || block_threads > kMaxThreads || block_threads % kWarpSize != 0 ||
      shared_bytes > kMaxSharedBytes) {
    throw Error("launch of " + std::to_string(n_blocks) + " blocks of " +
                std::to_string(block_threads) + " threads with " + std::to_string(shared_bytes) +
                " bytes of shared memory: expected whole warps, at most 1024 threads and 48 KiB");
  }
  Block block(n_blocks, block_threads, shared_bytes, thread);
  running = &block;
  try {
    Order order(n_blocks);
    for (const unsigned number : order.next()) block.run(number);
  } catch (...) {
    running = nullptr;
    throw;
  }
  running = nullptr;
}

const ThreadPlace& place() { return running->place(); }

void* shared_memory() { return running->shared_memory(); }

void block_barrier(SourceLine where) {
  if (!is_left_out(where)) running->wait(State::at_barrier, where);
}

const std::uint64_t* exchange_in_warp(std::uint64_t value, SourceLine where) {
  return running->exchange(value, where);
}

}  // namespace longshadow::host_cuda
