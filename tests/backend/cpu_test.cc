#include "engine/backend/cpu.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <stdexcept>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/matrix.h"

namespace longshadow {
namespace {

TEST_CASE("parallel_for does every task once") {
  for (const std::size_t threads : {1, 2, 3}) {
    Cpu cpu(threads);
    CHECK(cpu.threads() == threads);
    for (const std::size_t count : {0, 1, 1000}) {
      std::vector<std::atomic<int>> calls(count);
      cpu.parallel_for(count, [&](std::size_t i) { ++calls[i]; });
      for (const auto& times : calls) CHECK(times == 1);
    }
  }
}

TEST_CASE("an exception of a task reaches the caller") {
  Cpu cpu(2);
  const auto run = [&] {
    cpu.parallel_for(100, [](std::size_t i) {
      if (i == 57) throw std::runtime_error("task 57");
    });
  };
  CHECK_THROWS_WITH(run(), "task 57");
  std::atomic<int> calls = 0;
  cpu.parallel_for(10, [&](std::size_t) { ++calls; });
  CHECK(calls == 10);
}

TEST_CASE("more threads than could ever help are refused") {
  CHECK_THROWS_AS(Cpu(100000), UsageError);
  CHECK_THROWS_AS(Cpu(std::size_t{1} << 32), UsageError);
}

TEST_CASE("without a number there are as many threads as cores") { CHECK(Cpu().threads() >= 1); }

TEST_CASE("matrices begin at zero") {
  Cpu cpu(1);
  // Memory that was used before is what an allocator likes to hand out again.
  {
    Matrix<double> used(cpu.memory(), 100, 100);
    for (std::size_t i = 0; i < 10000; ++i) used.data()[i] = 1;
  }
  const Matrix<double> fresh(cpu.memory(), 100, 100);
  CHECK(std::all_of(fresh.data(), fresh.data() + 10000, [](double value) { return value == 0; }));
}

}  // namespace
}  // namespace longshadow
