#include "probes/compression/second_pass.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "engine/backend/device.h"
#include "engine/backend/transfer.h"
#include "engine/config/rotary_frequencies.h"
#include "engine/core/error.h"
#include "engine/ops/attention_statistics/largest_attention.h"
#include "engine/ops/common/rows.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

/// In layers that policies may compress, the replay's last token must still see the whole context.
void check_windows_of_replay(const Replay& replay, std::size_t context, const ModelConfig& config) {
  const std::size_t end = context + replay.tokens.size();
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    if (!config.sees_all(layer, context) || config.sees_all(layer, end)) continue;
    throw UsageError("the policy's second pass: reads " + std::to_string(replay.tokens.size()) +
                     " tokens behind the context's " + std::to_string(context) + ", but layer " +
                     std::to_string(layer) + " looks back over " +
                     std::to_string(config.window(layer)) +
                     " tokens; take a shorter context, or give the policy a shorter chunk");
  }
}

void check_replay(const Replay& replay, std::size_t context, const ModelConfig& config) {
  const std::string where = "the policy's second pass: ";
  if (replay.tokens.empty() || replay.slots.begin >= replay.slots.end ||
      replay.slots.end > context) {
    throw UsageError(where + "expected tokens, and slots of the context's " +
                     std::to_string(context) + ", found " + std::to_string(replay.tokens.size()) +
                     " tokens and the slots from " + std::to_string(replay.slots.begin) +
                     " up to " + std::to_string(replay.slots.end));
  }
  for (const std::int32_t token : replay.tokens) {
    if (token < 0 || static_cast<std::size_t>(token) >= config.vocab_size) {
      throw UsageError(where + "expected tokens of the model's " +
                       std::to_string(config.vocab_size) + ", found " + std::to_string(token));
    }
  }
  if (replay.tokens.size() > config.max_context - std::min(config.max_context, context)) {
    throw UsageError(where + "reads " + std::to_string(replay.tokens.size()) +
                     " tokens behind the context's " + std::to_string(context) + ", but " +
                     describe_max_context(config) +
                     "; take a shorter context, or give the policy a shorter chunk");
  }
  check_windows_of_replay(replay, context, config);
}

/// The full pass's cache, of which rows see the context and write nothing.
class ReadCache final : public LayerCache {
 public:
  explicit ReadCache(const KvCache& cache) : cache_(cache) {}

  KeysValuesView enter(std::size_t layer, RowBatch&) override { return cache_.layer(layer); }

 private:
  const KvCache& cache_;
};

/// Takes tokens through the layers as if they followed the first `context` tokens of a full pass.
class RowsBehind {
 public:
  /// For at most `max_tokens` tokens. References must outlive it.
  RowsBehind(Device& device, const Weights& weights, const FullPass& full, std::size_t context,
             std::size_t max_tokens)
      : context_(context),
        rotary_(device, weights.element(), full.frequencies, context + max_tokens,
                layer_attention_factors(weights.config)),
        cache_(full.cache),
        walk_(device, weights, round_up(max_tokens, kRowTile)),
        hidden_(device.memory(), weights.element(), round_up(max_tokens, kRowTile),
                weights.config.hidden_size) {}

  void run(std::span<const std::int32_t> tokens, LayerObserver& observer) {
    const std::size_t n = tokens.size();
    RowBatch rows;
    rows.positions.resize(round_up(n, kRowTile));
    std::iota(rows.positions.begin(), rows.positions.begin() + static_cast<std::ptrdiff_t>(n),
              static_cast<std::uint32_t>(context_));
    rows.streams = {{.first_row = 0, .n_rows = n, .prefix = context_}};
    LayerObserver* const observers[] = {&observer};
    walk_.run(tokens, rows, rotary_, cache_, rows_of(hidden_, rows.padded_rows()),
              ColumnOrder::forward, {context_, n}, observers);
  }

 private:
  std::size_t context_;
  RotaryTables rotary_;
  ReadCache cache_;
  LayerWalk walk_;
  Tensor hidden_;  ///< [padded rows, D], which nobody looks at
};

/// Gathers what the queries of one replay attend to.
class ReplayGather final : public LayerObserver {
 public:
  /// Raises `largest`, by layer [H, context] in the device's memory. References must outlive it.
  ReplayGather(Device& device, const ModelConfig& config, const KvCache& cache, std::size_t context,
               const Replay& replay, Replayed wanted, std::vector<Matrix<double>>& largest)
      : device_(device),
        config_(config),
        cache_(cache),
        context_(context),
        replay_(replay),
        wanted_(wanted),
        largest_(largest) {
    const std::size_t end_of_sinks = std::min(replay.n_sink, replay.slots.begin);
    if (end_of_sinks < replay.slots.begin) unseen_.push_back({end_of_sinks, replay.slots.begin});
    if (replay.slots.end < context) unseen_.push_back({replay.slots.end, context});
  }

  void after_attention(const Chunk&, std::size_t layer, const LayerActivations& activations,
                       ConstHeadsView, ConstTensorView) override {
    check_interrupt();
    if (!config_.sees_all(layer, context_)) return;  // no policy compresses it
    const Range& slots = replay_.slots;
    const ConstHeadsView keys = cache_.layer(layer).keys.part(0, config_.n_kv_heads, slots.begin);
    const Tensor normalisers = log_normalisers(layer, activations);
    raise_largest_attention(device_, attention_shape(config_, layer), activations.queries(config_),
                            replay_.tokens.size(), keys, normalisers.view(),
                            largest_[layer].view().column_range(slots.begin, slots.size()));
  }

 private:
  /// [rows, H] of the softmax over the sinks, the slots and the replay's own tokens; with the log
  /// of what the entries are to be divided by.
  Tensor log_normalisers(std::size_t layer, const LayerActivations& activations) const {
    const std::size_t n = replay_.tokens.size();
    Tensor normalisers(device_.memory(), cache_.element(), n, config_.n_heads);
    if (unseen_.empty()) {
      copy_rows(device_, activations.attention.log_normalisers.view().row_range(0, n),
                normalisers.view());
    } else {
      const std::vector<RemovedColumns> removed(config_.n_kv_heads, RemovedColumns(unseen_));
      const Stream stream{.first_row = 0, .n_rows = n, .prefix = context_, .removed = removed};
      Tensor attended(device_.memory(), cache_.element(), n, config_.n_heads * config_.head_dim);
      attention(device_, attention_shape(config_, layer), activations.queries(config_),
                cache_.layer(layer), activations.keys_values(config_), std::span(&stream, 1),
                attended.view(), normalisers.view());
    }
    if (wanted_ == Replayed::attention) return normalisers;
    return plus_log_norms(std::move(normalisers), activations.normed.view().row_range(0, n));
  }

  /// The norms are those of the inputs [n, D].
  Tensor plus_log_norms(Tensor normalisers, ConstTensorView inputs) const {
    Matrix<double> rows(host_memory(), inputs.rows, inputs.cols);
    copy_to_host(device_, inputs, rows.view());
    Tensor host = to_host(device_, std::move(normalisers));
    with_element<double, float>("log norms", host.element(), [&]<class T>() {
      const MatrixView<T> sums = host.view().as<T>();
      for (std::size_t r = 0; r < sums.rows; ++r) {
        const double* row = rows.row(r);
        const double norm = std::sqrt(std::inner_product(row, row + rows.cols(), row, 0.0));
        for (std::size_t head = 0; head < sums.cols; ++head) {
          sums.row(r)[head] += static_cast<T>(std::log(norm));
        }
      }
    });
    return on_device(device_, std::move(host));
  }

  Device& device_;
  const ModelConfig& config_;
  const KvCache& cache_;
  std::size_t context_;
  const Replay& replay_;
  Replayed wanted_;
  std::vector<Matrix<double>>& largest_;
  std::vector<Range> unseen_;  ///< slots of the context that the softmax does not go over
};

}  // namespace

void check_second_pass(const Policy& policy, std::span<const std::int32_t> context,
                       const ModelConfig& config) {
  if (policy.traits().replayed == Replayed::nothing) return;
  for (const Replay& replay : policy.second_pass(context)) {
    check_replay(replay, context.size(), config);
  }
}

std::vector<Matrix<double>> run_second_pass(Device& device, const Weights& weights,
                                            const FullPass& full, std::size_t context,
                                            std::span<const Replay> replays, Replayed wanted) {
  const ModelConfig& config = weights.config;
  std::size_t most_tokens = 0;
  for (const Replay& replay : replays) {
    check_replay(replay, context, config);
    most_tokens = std::max(most_tokens, replay.tokens.size());
  }
  RowsBehind behind(device, weights, full, context, most_tokens);
  std::vector<Matrix<double>> largest;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    largest.emplace_back(device.memory(), config.n_heads, context);
  }
  for (const Replay& replay : replays) {
    ReplayGather gather(device, config, full.cache, context, replay, wanted, largest);
    behind.run(replay.tokens, gather);
  }
  for (Matrix<double>& layer : largest) layer = to_host(device, std::move(layer));
  return largest;
}

}  // namespace longshadow
