#include "engine/kv/compressed_cache.h"

#include <catch2/catch.hpp>

#include "engine/core/range.h"
#include "tests/support/contracts.h"
#include "tests/support/devices.h"
#include "tests/support/random_matrix.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

constexpr std::size_t kLayers = 2, kHeads = 2, kSlots = 9, kHeadDim = 4;
/// The second layer has no rotary positions.
const std::vector<std::vector<double>> kFrequencies{{1.0, 0.1}, {0.0, 0.0}};

template <class T>
KvCache random_cache(Device& device) {
  Cpu cpu(1);
  KvCache cache(device.memory(), element_of<T>(), kLayers, kHeads, kSlots, kHeadDim);
  unsigned seed = 0;
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    for (std::size_t head = 0; head < kHeads; ++head) {
      for (const HeadsView& heads : {cache.keys(layer), cache.values(layer)}) {
        const Matrix<T> random = test::random_matrix<T>(cpu, kSlots, kHeadDim, ++seed);
        test::set(device, random, heads.head(head));
      }
    }
  }
  return cache;
}

/// Layers and heads that keep different numbers, down to none.
Compression ragged() {
  return {{{kSlots, {{0, 3, 8}, {5}}}, {kSlots, {{}, {0, 1, 2, 3, 4, 5, 6, 7, 8}}}}};
}

Compression rotated() { return {{{kSlots, {{2, 7}, {0, 8}}}, {kSlots, {{4}, {3}}}}, true}; }

TEMPLATE_TEST_CASE("A compressed cache holds the kept slots and no others", "", test::CpuF32,
                   test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  Cpu cpu(2);
  const KvCache full = random_cache<T>(cpu);
  const KvCache there = random_cache<T>(on.device);
  const std::vector<Compression> compressions{ragged(), rotated()};
  const CompressedCache cache(on.device, there, compressions, kFrequencies);
  for (std::size_t layer = 0; layer < kLayers; ++layer) {
    const Matrix<T> keys = test::host_copy<T>(on.device, cache.layer(layer).keys.all());
    const Matrix<T> values = test::host_copy<T>(on.device, cache.layer(layer).values.all());
    for (std::size_t c = 0; c < compressions.size(); ++c) {
      for (std::size_t head = 0; head < kHeads; ++head) {
        const std::vector<std::uint32_t>& kept = compressions[c].layers[layer].by_head[head];
        const Range range = cache.rows(layer, c)[head];
        REQUIRE(range.size() == kept.size());
        REQUIRE(range.end + kRowTile <= keys.rows());  // what a tile may read
        for (std::size_t r = 0; r < kept.size(); ++r) {
          const T* value = full.layer(layer).values.head(head).as<T>().row(kept[r]);
          CHECK(test::same_bits(twin::row(values.row(range.begin + r), kHeadDim),
                                twin::row(value, kHeadDim)));
          const auto key = twin::row(keys.row(range.begin + r), kHeadDim);
          const auto old =
              twin::row(full.layer(layer).keys.head(head).as<T>().row(kept[r]), kHeadDim);
          if (!compressions[c].rotates_keys || layer == 1) {
            CHECK(key == old);
            continue;
          }
          // Rotated to its old position, the moved key is the old one. The angle, its cos and sin,
          // two products and their sum round: 5 u and 8 u of the angle.
          const auto back = twin::rotate(key, kFrequencies[layer], kept[r] - r);
          for (std::size_t i = 0; i < kHeadDim; ++i) {
            const double largest =
                std::abs(old[0]) + std::abs(old[1]) + std::abs(old[2]) + std::abs(old[3]);
            CHECK(std::abs(back[i] - old[i]) <= 13 * twin::unit_roundoff<T> * largest);
          }
        }
      }
    }
  }
}

TEST_CASE("A compressed cache takes the memory of what it keeps") {
  Cpu cpu(1);
  const KvCache full = random_cache<float>(cpu);
  const std::vector<Compression> compressions{ragged(), rotated()};
  const CompressedCache cache(cpu, full, compressions, kFrequencies);
  constexpr std::size_t kSlotBytes = 2 * kHeadDim * sizeof(float);
  CHECK(cache.bytes(0) == 13 * kSlotBytes);
  CHECK(cache.bytes(1) == 6 * kSlotBytes);
  CHECK(cache.allocated_bytes() ==
        cache.bytes(0) + cache.bytes(1) + kLayers * kRowTile * kSlotBytes);
}

#ifdef LONGSHADOW_CONTRACTS
TEMPLATE_TEST_CASE("a compression that does not fit the cache is refused", "[contract]",
                   test::CpuF32, test::CudaF32) {
  test::UnderTest<typename TestType::Device> on;
  const KvCache full(on.device.memory(), Element::f32, kLayers, kHeads, kSlots, kHeadDim);
  const auto compress = [&](const Compression& compression) {
    CompressedCache(on.device, full, std::span(&compression, 1), kFrequencies);
  };
  const KeptSlots one_each{kSlots, {{1}, {2}}};
  const std::string name = "a compression of a cache: ";
  CHECK(test::error_of([&] { compress({{one_each}}); }) == name + "layers.size() is 1, expected 2");
  CHECK(test::error_of([&] {
          compress({{one_each, {kSlots, {{1}}}}});
        }) == name + "by_head.size() is 1, expected 2");
  CHECK(test::error_of([&] {
          compress({{one_each, {kSlots, {{1}, {2, 1}}}}});
        }) == name + "slots[1] is 1, expected more than 2");
  CHECK(test::error_of([&] {
          compress({{one_each, {kSlots, {{1}, {2, 3}}}}, true});
        }) == name + "slots.size() of keys that move is 2, expected 1");
  const Compression moved{{one_each, one_each}, true};
  CHECK(test::error_of([&] {
          CompressedCache(on.device, full, std::span(&moved, 1), std::span(kFrequencies).first(1));
        }) == name + "frequencies.size() is 1, expected 2");
  const std::vector<std::vector<double>> uneven{{1.0, 0.1}, {1.0}};
  CHECK(test::error_of([&] { CompressedCache(on.device, full, std::span(&moved, 1), uneven); }) ==
        name + "2 frequencies.size() of a layer is 2, expected 4");
  CHECK(test::error_of([&] { CompressedCache(on.device, full, {}, kFrequencies); }) ==
        "CompressedCache: compressions.size() is 0, expected at least 1");
}
#endif

}  // namespace
}  // namespace longshadow
