#include "probes/influence/sketch.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>

#include "engine/backend/device.h"
#include "engine/backend/transfer.h"
#include "probes/measure/fisher_sketch.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

/// The squares of each gate's derivatives, summed probe by probe, for `size` gates.
class SquareSums {
 public:
  explicit SquareSums(std::size_t size) : values_(size), squares_(size) {}

  /// `derivatives` [size]: of a bin's logits along one probe's direction.
  void add(std::span<const double> derivatives) {
    n_probes_ += 1;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const double value = derivatives[i] * derivatives[i];
      values_[i] += value;
      squares_[i] += value * value;
    }
  }

  /// Half the mean square, for each of `n_rows` rows: nats.
  std::vector<float> means(std::size_t n_rows) const {
    std::vector<float> means;
    for (const double sum : values_) means.push_back(in_nats(sum / n_probes_, n_rows));
    return means;
  }

  /// The standard errors of those means, over the probes.
  std::vector<float> standard_errors(std::size_t n_rows) const {
    std::vector<float> errors;
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const double mean = values_[i] / n_probes_;
      const double variance = (squares_[i] - n_probes_ * mean * mean) / (n_probes_ - 1);
      errors.push_back(in_nats(std::sqrt(std::max(0.0, variance) / n_probes_), n_rows));
    }
    return errors;
  }

 private:
  static float in_nats(double square, std::size_t n_rows) {
    return static_cast<float>(0.5 * square / static_cast<double>(n_rows));
  }

  double n_probes_ = 0;
  std::vector<double> values_;
  std::vector<double> squares_;
};

/// Adds one probe's derivatives by the gates of layers and heads, [L, K, T] with rows as
/// FisherSketch::run() gives them, to the sums of the map over tokens and of that over its parts.
class ProbeReader {
 public:
  ProbeReader(const ModelConfig& config, std::size_t context, MapDetail detail)
      : n_layers_(config.n_layers),
        n_heads_(config.n_kv_heads),
        context_(context),
        detail_(detail),
        by_token_(context),
        by_part_(n_parts() * context) {}

  std::size_t n_parts() const {
    if (detail_ == MapDetail::token) return 0;
    return detail_ == MapDetail::layer ? n_layers_ : n_layers_ * n_heads_;
  }

  void read(ConstTensorView gates, std::size_t n_draws, std::size_t draw, SquareSums& tokens,
            SquareSums& parts) {
    std::fill(by_token_.begin(), by_token_.end(), 0.0);
    std::fill(by_part_.begin(), by_part_.end(), 0.0);
    for_each_head(gates, n_draws, draw, [&](std::size_t layer, std::size_t head, const auto* row) {
      const std::size_t part = detail_ == MapDetail::head ? layer * n_heads_ + head : layer;
      for (std::size_t i = 0; i < context_; ++i) {
        by_token_[i] += static_cast<double>(row[i]);
        if (n_parts() != 0) by_part_[part * context_ + i] += static_cast<double>(row[i]);
      }
    });
    tokens.add(by_token_);
    parts.add(by_part_);
  }

  /// Puts the probe's derivatives [L, K, T] behind `projections`.
  void keep(ConstTensorView gates, std::size_t n_draws, std::size_t draw,
            std::vector<float>& projections) const {
    for_each_head(gates, n_draws, draw, [&](std::size_t, std::size_t, const auto* row) {
      std::transform(row, row + context_, std::back_inserter(projections),
                     [](auto derivative) { return static_cast<float>(derivative); });
    });
  }

 private:
  /// Calls body(layer, head, row) with the row [T] of each layer and head, in order.
  template <class Body>
  void for_each_head(ConstTensorView gates, std::size_t n_draws, std::size_t draw,
                     const Body& body) const {
    with_element<double, float>("the sketch", gates.element, [&]<class T>() {
      for (std::size_t layer = 0; layer < n_layers_; ++layer) {
        for (std::size_t head = 0; head < n_heads_; ++head) {
          body(layer, head, gates.as<T>().row((layer * n_draws + draw) * n_heads_ + head));
        }
      }
    });
  }

  std::size_t n_layers_;
  std::size_t n_heads_;
  std::size_t context_;
  MapDetail detail_;
  std::vector<double> by_token_;  ///< [T]
  std::vector<double> by_part_;   ///< [L, T], [L, K, T] or empty
};

void append(const std::vector<float>& from, std::vector<float>& to) {
  to.insert(to.end(), from.begin(), from.end());
}

RunSketch sketch_bins(Device& device, const ModelConfig& config, Element element,
                      FisherSketch& fisher, std::size_t context, const SketchOptions& options,
                      Progress& progress) {
  RunSketch sketch;
  sketch.detail = name_of(options.detail);
  sketch.probe_kind = name_of(options.kind);
  sketch.probes = static_cast<std::int64_t>(options.n_probes);
  sketch.seed = options.seed;
  ProbeReader reader(config, context, options.detail);
  if (options.keeps_projections) {
    sketch.projections.reserve(options.bins.size() * options.n_probes * reader.n_parts() * context);
  }
  std::size_t done = 0;
  for (const Range& bin : options.bins) {
    SquareSums tokens(context);
    SquareSums parts(reader.n_parts() * context);
    const std::size_t at_once = std::min(options.n_probes, fisher.draws_at_once(bin.end));
    for (std::size_t first = 0; first < options.n_probes; first += at_once) {
      check_interrupt();
      const std::size_t n_draws = std::min(at_once, options.n_probes - first);
      Tensor there(device.memory(), element, config.n_layers * n_draws * config.n_kv_heads,
                   context);
      fisher.run(bin, ProbeDraws{options.kind, options.seed, first}, n_draws, there.view());
      const Tensor gates = to_host(device, std::move(there));
      for (std::size_t draw = 0; draw < n_draws; ++draw) {
        reader.read(gates.view(), n_draws, draw, tokens, parts);
        if (options.keeps_projections) reader.keep(gates.view(), n_draws, draw, sketch.projections);
      }
      progress.update(done += n_draws);
    }
    sketch.bins.push_back(
        {static_cast<std::int32_t>(bin.begin), static_cast<std::int32_t>(bin.end)});
    append(tokens.means(bin.size()), sketch.fi);
    append(tokens.standard_errors(bin.size()), sketch.standard_error);
    append(parts.means(bin.size()), sketch.fi_parts);
  }
  return sketch;
}

}  // namespace

const char* name_of(ProbeKind kind) { return kind == ProbeKind::signs ? "signs" : "sampled"; }

const char* name_of(MapDetail detail) {
  switch (detail) {
    case MapDetail::token:
      return "token";
    case MapDetail::layer:
      return "layer";
    case MapDetail::head:
      return "head";
  }
  return "";
}

RunSketch sketch_document(Device& device, const ProbeModel& model, const FullPass& full,
                          const ActivationTape& tape, const SketchOptions& options,
                          std::size_t max_rows, Progress& progress) {
  const Weights& weights = model.weights;
  std::optional<KvCache> rounded;
  if (model.rounded_output) {
    rounded = round_cache(device, weights.config, full.cache, full.tokens.size());
  }
  FisherSketch fisher(device, weights, {*model.transposed, rounded ? *rounded : full.cache}, full,
                      tape, max_rows);
  return sketch_bins(device, weights.config, weights.element(), fisher, tape.positions().begin,
                     options, progress);
}

}  // namespace longshadow
