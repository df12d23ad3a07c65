#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "engine/core/range.h"
#include "engine/ops/lanes.h"
#include "engine/ops/prediction.h"
#include "engine/ops/tile_scratch.h"
#include "engine/ops/top_k_entropy.h"

namespace longshadow {
namespace {

constexpr float kLargestByte = 127;

/// Columns that are looked at one by one only where their largest is large enough.
constexpr std::size_t kBlock = 128;

/// The largest logits seen so far and their tokens.
template <class T>
class Candidates {
 public:
  explicit Candidates(std::size_t count) : count_(count) { found_.reserve(kBuffers * count); }

  /// What a logit must exceed to be one of them.
  T threshold() const { return threshold_; }

  void offer(T logit, std::size_t token) {
    if (!(logit > threshold_)) return;  // nor is NaN a candidate
    found_.push_back({logit, token});
    if (found_.size() == kBuffers * count_) shrink();
  }

  struct Candidate {
    T logit;
    std::size_t token;
  };
  /// After the last offer: throws out what is left beyond `count`.
  void finish() {
    if (found_.size() > count_) shrink();
  }
  /// In no order.
  std::span<const Candidate> found() const { return found_; }

 private:
  /// Every so many new ones the smallest are thrown out together.
  static constexpr std::size_t kBuffers = 3;

  void shrink() {
    const auto last = found_.begin() + static_cast<std::ptrdiff_t>(count_ - 1);
    // Among equals the lower token, so that nothing depends on how the search was cut up.
    std::nth_element(found_.begin(), last, found_.end(),
                     [](const Candidate& a, const Candidate& b) {
                       return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                     });
    threshold_ = last->logit;
    found_.resize(count_);
  }

  std::size_t count_;
  T threshold_ = -std::numeric_limits<T>::infinity();
  std::vector<Candidate> found_;
};

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
            const T* scales, Candidates<T>& candidates) {
  for (std::size_t begin = 0; begin < cols; begin += kBlock) {
    const T highest = scale_block<T>(logits + begin, std::min(kBlock, cols - begin),
                                     scales != nullptr ? scales + begin : nullptr);
    if (highest <= candidates.threshold()) continue;
    for (std::size_t c = begin; c < std::min(begin + kBlock, width); ++c) {
      candidates.offer(logits[c], first_token + c);
    }
  }
}

/// body(first row, used rows) for every stretch of as many row tiles of `rows` rows.
template <class Body>
void for_row_tiles(Cpu& cpu, std::size_t rows, std::size_t tiles, const Body& body) {
  const std::size_t stretch = tiles * kRowTile;
  cpu.parallel_for(round_up(rows, stretch) / stretch, [&](std::size_t task) {
    body(task * stretch, std::min(stretch, rows - task * stretch));
  });
}

/// Row tiles whose candidates' exact logits are taken together: many, so that a row of the output
/// matrix that comes from memory serves more than one of them, but a few tasks for each thread.
std::size_t screened_tiles(const Cpu& cpu, std::size_t rows) {
  constexpr std::size_t kMost = 4;  // candidates take 20 KB a row
  const std::size_t tiles = round_up(rows, kRowTile) / kRowTile;
  return std::clamp<std::size_t>(tiles / (2 * cpu.threads()), 1, kMost);
}

float narrow(double value) { return static_cast<float>(value); }

/// For every used row of a row tile the largest `count` of x packedᵀ, times the tokens' scales if
/// there are any.
template <class P, class T>
std::vector<Candidates<T>> search_rows(Cpu& cpu, MatrixView<const P> x, std::size_t used_rows,
                                       const PackedWeights<P>& packed, const T* scales,
                                       std::size_t count) {
  struct Logits;
  std::vector<Candidates<T>> candidates(used_rows, Candidates<T>(count));
  for (std::size_t tile = 0; tile < packed.n_tiles(); ++tile) {
    const std::size_t first_token = packed.tile_begin(tile);
    const MatrixView<T> logits = tile_scratch<T, Logits>(cpu, kRowTile, packed.padded_width(tile));
    packed.multiply_tile(tile, x, logits);
    for (std::size_t r = 0; r < used_rows; ++r) {
      search<T>(logits.row(r), logits.cols, packed.tile_width(tile), first_token,
                scales != nullptr ? scales + first_token : nullptr, candidates[r]);
    }
  }
  for (Candidates<T>& one : candidates) one.finish();
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
  for (const auto& one : candidates.found()) logits.push_back(one.logit);
  return logits;
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
    for (const auto& one : of_row.found()) ++next[one.token / kStretch + 1];
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<Wanted> wanted(next.back());
  std::vector<std::vector<double>> logits(candidates.size());
  for (std::size_t row = 0; row < candidates.size(); ++row) {
    const auto found = candidates[row].found();
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

}  // namespace

ScreeningOutput::ScreeningOutput(Cpu& cpu, MatrixView<const float> output)
    : packed(cpu, in_bytes(cpu, output, scales).view()) {}

template <class T>
void entropies_of_top_k(Cpu& device, MatrixView<const T> hidden,
                        const PackedWeights<T>& packed_output, std::size_t k,
                        std::span<float> entropies) {
  check_entropies_of_top_k("entropies_of_top_k", hidden, packed_output, k, entropies);
  for_row_tiles(device, entropies.size(), 1, [&](std::size_t first, std::size_t used) {
    const auto candidates = search_rows<T, T>(device, hidden.row_range(first, kRowTile), used,
                                              packed_output, nullptr, k);
    for (std::size_t r = 0; r < used; ++r) {
      entropies[first + r] = narrow(entropy_of_top_k<T>(logits_of(candidates[r]), k));
    }
  });
}

void screened_entropies_of_top_k(Cpu& device, MatrixView<const float> hidden,
                                 MatrixView<const float> output, const ScreeningOutput& screening,
                                 std::size_t k, std::span<float> entropies) {
  require_shape("screened_entropies_of_top_k", "output", output, screening.packed.outputs(),
                screening.packed.inputs());
  check_entropies_of_top_k("screened_entropies_of_top_k", hidden, screening.packed, k, entropies);
  struct Bytes;
  const std::size_t count = std::min(output.rows, screened_candidates(k));
  const std::size_t tiles = screened_tiles(device, entropies.size());
  for_row_tiles(device, entropies.size(), tiles, [&](std::size_t first, std::size_t used) {
    std::vector<Candidates<float>> candidates;
    for (std::size_t row = first; row < first + used; row += kRowTile) {
      const MatrixView<std::int8_t> bytes =
          tile_scratch<std::int8_t, Bytes>(device, kRowTile, hidden.cols);
      round_rows_to_bytes(hidden.row_range(row, kRowTile), bytes, nullptr);
      auto of_tile =
          search_rows<std::int8_t, float>(device, bytes, std::min(kRowTile, first + used - row),
                                          screening.packed, screening.scales.data(), count);
      std::move(of_tile.begin(), of_tile.end(), std::back_inserter(candidates));
    }
    const auto logits = exact_logits(hidden.row_range(first, used), output, candidates);
    for (std::size_t r = 0; r < used; ++r) {
      entropies[first + r] = narrow(entropy_of_top_k<double>(logits[r], k));
    }
  });
}

template void entropies_of_top_k(Cpu&, MatrixView<const float>, const PackedWeights<float>&,
                                 std::size_t, std::span<float>);
template void entropies_of_top_k(Cpu&, MatrixView<const double>, const PackedWeights<double>&,
                                 std::size_t, std::span<float>);

}  // namespace longshadow
