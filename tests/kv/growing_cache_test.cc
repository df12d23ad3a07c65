#include "engine/kv/growing_cache.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/larger.h"
#include "tests/support/random_matrix.h"

namespace longshadow {
namespace {

constexpr std::size_t kHeads = 2, kSlots = 100, kHeadDim = 16;
const std::vector<std::vector<double>> kNoFrequencies(1, std::vector<double>(kHeadDim / 2, 0.0));
using Slots = std::vector<std::vector<std::uint32_t>>;

KvCache random_cache(Device& device) {
  Cpu cpu(1);
  KvCache cache(device.memory(), Element::f32, 1, kHeads, kSlots, kHeadDim);
  for (std::size_t head = 0; head < kHeads; ++head) {
    const auto seed = static_cast<unsigned>(head);
    const auto keys = test::random_matrix<float>(cpu, kSlots, kHeadDim, 2 * seed);
    const auto values = test::random_matrix<float>(cpu, kSlots, kHeadDim, 2 * seed + 1);
    test::set(device, keys, cache.keys(0).head(head));
    test::set(device, values, cache.values(0).head(head));
  }
  return cache;
}

std::vector<std::uint32_t> every(std::uint32_t step, std::uint32_t end) {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t slot = 0; slot < end; slot += step) slots.push_back(slot);
  return slots;
}

/// One token's keys and values, those of slot `slot` of the host's full cache, in the first rows.
struct Own {
  Matrix<float> keys, values;
  Own(Device& device, const KvCache& from, std::size_t slot)
      : keys(host_memory(), kHeads, kHeadDim), values(host_memory(), kHeads, kHeadDim) {
    for (std::size_t head = 0; head < kHeads; ++head) {
      std::copy_n(from.layer(0).keys.head(head).as<float>().row(slot), kHeadDim, keys.row(head));
      std::copy_n(from.layer(0).values.head(head).as<float>().row(slot), kHeadDim,
                  values.row(head));
    }
    keys = on_device(device, std::move(keys));
    values = on_device(device, std::move(values));
  }
  KeysValuesView view() const {
    return {as_heads(keys.view(), kHeads), as_heads(values.view(), kHeads)};
  }
};

/// Largest difference between the cache's rows and those of the tokens they say they are.
float largest_error(Device& device, GrowingCache& cache, const KvCache& full) {
  float largest = 0;
  const CachedLayer layer = cache.read(0);
  const Matrix<float> keys = test::host_copy<float>(device, layer.rows.keys.all());
  const Matrix<float> values = test::host_copy<float>(device, layer.rows.values.all());
  for (std::size_t head = 0; head < kHeads; ++head) {
    const auto& tokens = cache.tokens(0, head);
    REQUIRE(layer.by_head[head].size() == tokens.size());
    REQUIRE(layer.by_head[head].end + kRowTile <= layer.rows.keys.rows);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::size_t row = layer.by_head[head].begin + i;
      const std::size_t slot = tokens[i] % kSlots;
      for (std::size_t c = 0; c < kHeadDim; ++c) {
        const float key = full.layer(0).keys.head(head).as<float>().row(slot)[c];
        const float value = full.layer(0).values.head(head).as<float>().row(slot)[c];
        largest = test::larger(largest, std::abs(keys.row(row)[c] - key));
        largest = test::larger(largest, std::abs(values.row(row)[c] - value));
      }
    }
  }
  return largest;
}

/// The tokens whose rows the cache shows, by head.
Slots shown_tokens(GrowingCache& cache) {
  Slots shown;
  for (std::size_t head = 0; head < kHeads; ++head) {
    const auto& tokens = cache.tokens(0, head);
    const std::size_t count = cache.read(0).by_head[head].size();
    shown.emplace_back(tokens.end() - static_cast<std::ptrdiff_t>(count), tokens.end());
  }
  return shown;
}

std::vector<std::uint32_t> from_to(std::uint32_t begin, std::uint32_t end) {
  std::vector<std::uint32_t> slots;
  for (std::uint32_t slot = begin; slot < end; ++slot) slots.push_back(slot);
  return slots;
}

TEMPLATE_TEST_CASE("a growing cache of a window shows what the next token sees, and holds no more",
                   "", test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  constexpr std::size_t kWindow = 20, kSlotBytes = 2 * kHeadDim * sizeof(float);
  const KvCache full = random_cache(cpu);
  const KvCache there = random_cache(on.device);
  const auto all = from_to(0, kSlots);
  GrowingCache cache(on.device, there, {{{kSlots, {all, all}, kWindow}}, true}, kNoFrequencies);
  const auto seen = [&](std::size_t next) {
    return from_to(static_cast<std::uint32_t>(next + 1 - kWindow),
                   static_cast<std::uint32_t>(next));
  };
  for (std::size_t token = kSlots; token < kSlots + 600; ++token) {  // beyond the room at first
    CHECK(shown_tokens(cache) == Slots{seen(token), seen(token)});
    CHECK(cache.bytes() == kHeads * (kWindow - 1) * kSlotBytes);
    CHECK(cache.next_position(0, token) == token);  // keys of a window do not move
    cache.append(0, Own(on.device, full, token % kSlots).view(), token);
  }
  CHECK(largest_error(on.device, cache, full) == 0);
}

TEST_CASE("packed slots leave a window when none of those they were packed with is seen") {
  Cpu cpu(1);
  constexpr std::size_t kWindow = 80, kGroup = 32;
  const KvCache full = random_cache(cpu);
  // 79 slots: two groups packed at once, and 15 slots behind them.
  const auto start = from_to(static_cast<std::uint32_t>(kSlots + 1 - kWindow), kSlots);
  Compression compression{{{kSlots, {start, start}, kWindow}}};
  compression.quantization = Quantization{8, kGroup};
  GrowingCache cache(cpu, full, compression, kNoFrequencies);
  std::size_t most = 0;
  for (std::uint32_t token = kSlots; token < kSlots + 200; ++token) {
    const auto seen = from_to(static_cast<std::uint32_t>(token + 1 - kWindow), token);
    CHECK(shown_tokens(cache) == Slots{seen, seen});
    if (cache.tokens(0, 0).size() > most) most = cache.tokens(0, 0).size();
    cache.append(0, Own(cpu, full, token % kSlots).view(), token);
  }
  // The first two groups leave together; later ones alone.
  CHECK(most == kWindow - 1 + 2 * kGroup - 1);
  CHECK(cache.tokens(0, 0).size() < kWindow + kGroup);
}

TEMPLATE_TEST_CASE("a growing cache holds what was kept and what was added, through evictions", "",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const KvCache full = random_cache(cpu);
  const KvCache there = random_cache(on.device);
  const Compression start{{{kSlots, {every(3, kSlots), every(2, 50)}}}, false};
  GrowingCache cache(on.device, there, start, kNoFrequencies);
  CHECK(cache.tokens(0, 0) == start.layers[0].by_head[0]);
  CHECK(cache.bytes() == 2 * (34 + 25) * kHeadDim * sizeof(float));
  for (std::size_t token = kSlots; token < kSlots + 600; ++token) {  // beyond the room at first
    cache.append(0, Own(on.device, full, token % kSlots).view(), token);
  }
  CHECK(cache.next_position(0, 700) == 700);
  CHECK(largest_error(on.device, cache, full) == 0);
  cache.keep(0, {every(7, 634), every(1, 30)});
  CHECK(cache.tokens(0, 0)[1] == 21);
  CHECK(cache.tokens(0, 1)[29] == kSlots + 4);
  CHECK(largest_error(on.device, cache, full) == 0);
  CHECK(cache.bytes() == 2 * (91 + 30) * kHeadDim * sizeof(float));
}

// Elements are within 4.5 deviations here, so half a scale is at most 9/255/2 in 8 bits and 9/15/2
// in 4, twice that where a group was packed again after an eviction.
TEMPLATE_TEST_CASE("a quantized growing cache packs whole groups and keeps the rest as it is", "",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const std::size_t bits = GENERATE(as<std::size_t>(), 8, 4);
  const float half_scale = 4.5F / (bits == 8 ? 255 : 15);
  const KvCache full = random_cache(cpu);
  const KvCache there = random_cache(on.device);
  const Compression start{
      {{kSlots, {every(1, kSlots), every(2, 50)}}}, false, Quantization{bits, 32}};
  GrowingCache cache(on.device, there, start, kNoFrequencies);
  const auto packed_bytes = [&](std::size_t groups) {
    const std::size_t elements = 32 * kHeadDim;  // a group of channels is half full here
    return groups * (2 * elements * bits / 8 + 8 * (kHeadDim + 32));
  };
  const auto plain_bytes = [](std::size_t rows) { return 2 * rows * kHeadDim * sizeof(float); };
  CHECK(cache.bytes() == packed_bytes(3) + plain_bytes(4 + 25));
  CHECK(largest_error(on.device, cache, full) <= half_scale);
  CHECK(largest_error(on.device, cache, full) > 0);
  for (std::size_t token = kSlots; token < kSlots + 40; ++token) {
    cache.append(0, Own(on.device, full, token % kSlots).view(), token);
  }
  CHECK(cache.bytes() == packed_bytes(4 + 2) + plain_bytes(12 + 1));
  CHECK(largest_error(on.device, cache, full) <= half_scale);
  cache.keep(0, {every(2, 140), every(1, 40)});
  CHECK(cache.bytes() == packed_bytes(2 + 1) + plain_bytes(6 + 8));
  CHECK(largest_error(on.device, cache, full) <= 2 * half_scale);
}

TEMPLATE_TEST_CASE("keys that move follow one another, and so does the next token", "",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(1);
  const KvCache full = random_cache(cpu);
  const KvCache there = random_cache(on.device);
  const Compression start{{{kSlots, {{4, 9}, {0, 1}}}}, true};
  GrowingCache cache(on.device, there, start, kNoFrequencies);
  CHECK(cache.next_position(0, kSlots) == 2);
  cache.append(0, Own(on.device, full, 3).view(), kSlots);
  CHECK(cache.next_position(0, kSlots + 1) == 3);
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("what does not fit a growing cache is refused", "[contract]", test::CpuF32,
                   test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const KvCache full(on.device.memory(), Element::f32, 1, kHeads, kSlots, kHeadDim);
  GrowingCache cache(on.device, full, {{{kSlots, {{0, 1}, {5}}}}}, kNoFrequencies);
  const auto own = test::shaped_heads<const float>(kHeads + 1, 1, kHeadDim);
  CHECK(test::error_of([&] {
          cache.append(0, {own, own}, 9);
        }) ==
        "GrowingCache::append: own.keys is 3 heads of [1, 16], expected 2 of [1, 16] or more rows");
  CHECK(test::error_of([&] { cache.keep(0, {{0}}); }) ==
        "GrowingCache::keep: slots_by_head.size() is 1, expected 2");
  CHECK(test::error_of([&] {
          cache.keep(0, {{0}, {1}});
        }) == "GrowingCache::keep: slots[0] is 1, expected at least 0 and below 1");
  CHECK(test::error_of([&] {
          cache.keep(0, {{1, 0}, {0}});
        }) == "GrowingCache::keep: slots[1] is 0, expected more than 1");
}
#endif

}  // namespace
}  // namespace longshadow
