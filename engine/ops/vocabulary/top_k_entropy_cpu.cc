#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/core/range.h"
#include "engine/ops/common/lanes.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/tile_scratch.h"
#include "engine/ops/vocabulary/largest_seen.h"
#include "engine/ops/vocabulary/prediction.h"
#include "engine/ops/vocabulary/top_k_entropy.h"

namespace longshadow {
namespace {

constexpr float kLargestByte = 127;

/// Columns that are looked at one by one only where their largest is large enough.
constexpr std::size_t kBlock = 128;

/// A token and its logit. Among equals the lower token is larger, so that nothing depends on how
/// the search was cut up; NaN is larger than nothing.
template <class T>
struct Candidate {
  T logit;
  std::size_t token;
};
template <class T>
struct LargerLogit {
  bool operator()(const Candidate<T>& a, const Candidate<T>& b) const {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  }
};
template <class T>
using LargestLogits = LargestSeen<Candidate<T>, LargerLogit<T>>;
template <class T>
using Candidates = std::vector<Candidate<T>>;

/// The largest of a block's logits; with `scales` they are multiplied with them first.
template <class T>
LONGSHADOW_PER_CPU T scale_block(T* logits, std::size_t cols, const T* scales) {
  Lanes<T> highest = broadcast<T>(-std::numeric_limits<T>::infinity());
  for (std::size_t c = 0; c < cols; c += kLanes<T>) {
    Lanes<T> values = load(logits + c);
    if (scales != nullptr) {
      values *= load(scales + c);
      store<T>(logits + c, values);
    }
    highest = maximum<T>(highest, values);
  }
  return largest<T>(highest);
}

/// Offers the logits of tokens first_token, ..., first_token + width - 1; cols of them are there.
template <class T>
void search(T* logits, std::size_t cols, std::size_t width, std::size_t first_token,
            const T* scales, LargestLogits<T>& largest) {
  for (std::size_t begin = 0; begin < cols; begin += kBlock) {
    const T highest = scale_block<T>(logits + begin, std::min(kBlock, cols - begin),
                                     scales != nullptr ? scales + begin : nullptr);
    if (highest <= largest.threshold().logit) continue;
    for (std::size_t c = begin; c < std::min(begin + kBlock, width); ++c) {
      largest.offer({logits[c], first_token + c});
    }
  }
}

/// body(first row, used rows) for every row tile of `rows` rows.
template <class Body>
void for_row_tiles(Cpu& cpu, std::size_t rows, const Body& body) {
  cpu.parallel_for(round_up(rows, kRowTile) / kRowTile, [&](std::size_t tile) {
    body(tile * kRowTile, std::min(kRowTile, rows - tile * kRowTile));
  });
}

float narrow(double value) { return static_cast<float>(value); }

/// For every used row of a row tile the largest `count` of x packedᵀ, times the tokens' scales if
/// there are any.
template <class P, class T>
std::vector<Candidates<T>> search_rows(Cpu& cpu, MatrixView<const P> x, std::size_t used_rows,
                                       const PackedWeights& packed, const T* scales,
                                       std::size_t count) {
  struct Logits;
  constexpr Candidate<T> kNone{-std::numeric_limits<T>::infinity(), 0};
  std::vector<LargestLogits<T>> largest(used_rows, LargestLogits<T>(count, kNone));
  for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
    const std::size_t first_token = packed.tile_begin(tile);
    const MatrixView<T> logits = tile_scratch<T, Logits>(cpu, kRowTile, packed.padded_width(tile));
    packed.multiply_tile(tile, x, logits);
    for (std::size_t r = 0; r < used_rows; ++r) {
      search<T>(logits.row(r), logits.cols, packed.tile_width(tile), first_token,
                scales != nullptr ? scales + first_token : nullptr, largest[r]);
    }
  }
  std::vector<Candidates<T>> candidates;
  for (LargestLogits<T>& one : largest) candidates.push_back(std::move(one).finish());
  return candidates;
}

/// to = from / scale, the largest of the row becoming 127; returns the scale.
LONGSHADOW_PER_CPU float round_to_bytes(const float* from, std::size_t size, std::int8_t* to) {
  float highest = 0;
  for (std::size_t i = 0; i < size; ++i) highest = std::max(highest, std::abs(from[i]));
  const float inverse = highest > 0 ? kLargestByte / highest : 0;
  for (std::size_t i = 0; i < size; ++i) {
    const float scaled = from[i] * inverse;
    const float nearest = scaled + (scaled < 0 ? -0.5F : 0.5F);
    // In this order the comparisons, false for NaN, choose a bound.
    to[i] = static_cast<std::int8_t>(std::max(-kLargestByte, std::min(kLargestByte, nearest)));
  }
  return highest / kLargestByte;
}

/// scales, if not null: [rows].
void round_rows_to_bytes(MatrixView<const float> from, MatrixView<std::int8_t> to, float* scales) {
  for (std::size_t r = 0; r < from.rows; ++r) {
    const float scale = round_to_bytes(from.row(r), from.cols, to.row(r));
    if (scales != nullptr) scales[r] = scale;
  }
}

template <class T>
std::vector<T> logits_of(const Candidates<T>& candidates) {
  std::vector<T> logits;
  for (const auto& one : candidates) logits.push_back(one.logit);
  return logits;
}

template <class T>
float capped_entropy_of_top_k(std::vector<T> logits, double logit_cap, std::size_t k) {
  if (logit_cap != 0) cap_logits(logits.data(), logits.size(), logit_cap);
  return narrow(entropy_of_top_k<T>(logits, k));
}

/// A row's candidate, and where its exact logit goes.
struct Wanted {
  std::size_t row;
  std::size_t token;
  double* logit;
};

/// The dot product of two rows in two sums of f32 lanes.
LONGSHADOW_PER_CPU double dot_in_lanes(const float* a, const float* b, std::size_t size) {
  constexpr std::size_t kStep = 2 * kLanes<float>;
  Lanes<float> even{}, odd{};
  const std::size_t whole = size / kStep * kStep;
  for (std::size_t i = 0; i < whole; i += kStep) {
    even += load(a + i) * load(b + i);
    odd += load(a + i + kLanes<float>) * load(b + i + kLanes<float>);
  }
  double total = sum<float>(even + odd);
  for (std::size_t i = whole; i < size; ++i) {
    total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return total;
}

/// The candidates' logits as they are, a vector for each row of `hidden`. Candidates are taken by
/// stretches of the vocabulary, in which many rows have one, so that the output matrix is brought
/// into the core's cache once for all rows: it is read in time, and its rows one by one are not.
std::vector<std::vector<double>> exact_logits(MatrixView<const float> hidden,
                                              MatrixView<const float> output,
                                              std::span<const Candidates<float>> candidates) {
  constexpr std::size_t kStretch = 128;  // tokens
  std::vector<std::size_t> next(output.rows / kStretch + 2);
  for (const Candidates<float>& of_row : candidates) {
    for (const auto& one : of_row) ++next[one.token / kStretch + 1];
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<Wanted> wanted(next.back());
  std::vector<std::vector<double>> logits(candidates.size());
  for (std::size_t row = 0; row < candidates.size(); ++row) {
    const Candidates<float>& found = candidates[row];
    logits[row].resize(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      wanted[next[found[i].token / kStretch]++] = {row, found[i].token, &logits[row][i]};
    }
  }
  for (const Wanted& one : wanted) {
    *one.logit = dot_in_lanes(hidden.row(one.row), output.row(one.token), output.cols);
  }
  return logits;
}

Matrix<std::int8_t> in_bytes(Cpu& cpu, MatrixView<const float> output, std::vector<float>& scales) {
  Matrix<std::int8_t> bytes(cpu.memory(), output.rows, output.cols);
  scales.resize(round_up(output.rows, kOutputMultiple));
  round_rows_to_bytes(output, bytes.view(), scales.data());
  return bytes;
}

template <class T>
void entropies_of_top_k_on_cpu(Cpu& device, MatrixView<const T> hidden,
                               const PackedWeights& packed_output, double logit_cap, std::size_t k,
                               std::span<float> entropies) {
  for_row_tiles(device, entropies.size(), [&](std::size_t first, std::size_t used) {
    const auto candidates = search_rows<T, T>(device, hidden.row_range(first, kRowTile), used,
                                              packed_output, nullptr, k);
    for (std::size_t r = 0; r < used; ++r) {
      entropies[first + r] = capped_entropy_of_top_k(logits_of(candidates[r]), logit_cap, k);
    }
  });
}

}  // namespace

ScreeningOutput::ScreeningOutput(Cpu& cpu, MatrixView<const float> output)
    : packed(cpu, in_bytes(cpu, output, scales).view()) {}

void entropies_of_top_k(Device& device, ConstTensorView hidden, const PackedWeights& packed_output,
                        double logit_cap, std::size_t k, std::span<float> entropies) {
  check_entropies_of_top_k("entropies_of_top_k", hidden, packed_output, k, entropies);
  if (EntropiesOfTopKKernel::ran_elsewhere(device, hidden, packed_output, logit_cap, k,
                                           entropies)) {
    return;
  }
  with_element<float, double>("entropies_of_top_k", hidden.element, [&]<class T>() {
    entropies_of_top_k_on_cpu<T>(cpu_of(device), hidden.as<T>(), packed_output, logit_cap, k,
                                 entropies);
  });
}

void screened_entropies_of_top_k(Cpu& device, MatrixView<const float> hidden,
                                 MatrixView<const float> output, const ScreeningOutput& screening,
                                 double logit_cap, std::size_t k, std::span<float> entropies) {
  require_shape("screened_entropies_of_top_k", "output", output, screening.packed.outputs(),
                screening.packed.inputs());
  check_entropies_of_top_k("screened_entropies_of_top_k", hidden, screening.packed, k, entropies);
  struct Bytes;
  const std::size_t count = std::min(output.rows, screened_candidates(k));
  for_row_tiles(device, entropies.size(), [&](std::size_t first, std::size_t used) {
    const MatrixView<const float> rows = hidden.row_range(first, kRowTile);
    const MatrixView<std::int8_t> bytes =
        tile_scratch<std::int8_t, Bytes>(device, kRowTile, hidden.cols);
    round_rows_to_bytes(rows, bytes, nullptr);
    const auto candidates = search_rows<std::int8_t, float>(device, bytes, used, screening.packed,
                                                            screening.scales.data(), count);
    const auto logits = exact_logits(rows, output, candidates);
    for (std::size_t r = 0; r < used; ++r) {
      entropies[first + r] = capped_entropy_of_top_k(logits[r], logit_cap, k);
    }
  });
}

}  // namespace longshadow
