#include "analysis/inspect/page_data.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <type_traits>

#include "analysis/inspect/base64.h"
#include "analysis/inspect/log_code.h"
#include "analysis/inspect/script_json.h"
#include "analysis/statistics/samples.h"
#include "data/format/schema.h"
#include "data/format/sentences.h"
#include "data/format/token_signals.h"

namespace longshadow {

namespace {

using Json = nlohmann::ordered_json;

/// Decades of a value by layer that are told apart: 6 in 253 codes are steps of 5.6%.
constexpr double kLayerDecades = 6;
/// An influence curve keeps all of its values.
constexpr double kAllDecades = 300;

/// Little-endian, as every machine that this runs on is.
template <typename T>
Json array(const char* type, std::span<const T> values) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {{"type", type}, {"data", base64(std::as_bytes(values))}};
}

Json array_of(const std::vector<float>& values) { return array<float>("f32", values); }
Json array_of(const std::vector<std::int32_t>& values) {
  return array<std::int32_t>("i32", values);
}
Json array_of(const std::vector<std::uint8_t>& values) { return array<std::uint8_t>("u8", values); }

std::vector<float> narrowed(std::span<const double> values) {
  std::vector<float> narrow;
  for (const double value : values) narrow.push_back(static_cast<float>(value));
  return narrow;
}

Json coded_array(std::span<const float> values, int bits, double decades) {
  const LogCodes coded = log_codes(values, bits, decades);
  Json json;
  if (bits == 8) {
    const std::vector<std::uint8_t> codes(coded.codes.begin(), coded.codes.end());
    json = array<std::uint8_t>("log8", codes);
  } else {
    json = array<std::uint16_t>("log16", coded.codes);
  }
  json["low"] = coded.low;
  json["high"] = coded.high;
  json["relative_error"] = coded.relative_error();
  return json;
}

/// [rows, columns] to [rows / group, columns]: the mean of each `group` neighbouring rows.
std::vector<float> mean_of_rows(const std::vector<float>& values, std::size_t group,
                                std::size_t columns) {
  std::vector<float> means(values.size() / group);
  for (std::size_t i = 0; i < means.size(); ++i) {
    const std::size_t first = i / columns * group * columns + i % columns;
    double sum = 0;
    for (std::size_t k = 0; k < group; ++k) sum += static_cast<double>(values[first + k * columns]);
    means[i] = static_cast<float>(sum / static_cast<double>(group));
  }
  return means;
}

/// `values` [..., L, K, columns], K 1 for what has no heads; `keep_heads` says whether the page
/// gets each head.
Json layered(const std::vector<float>& values, std::int64_t n_heads, std::size_t columns,
             bool keep_heads, int bits) {
  const auto group = static_cast<std::size_t>(keep_heads ? 1 : n_heads);
  Json json = coded_array(mean_of_rows(values, group, columns), bits, kLayerDecades);
  json["heads"] = keep_heads ? n_heads : 1;
  return json;
}

Json tokens_json(const RunTokens& tokens) {
  std::vector<std::int32_t> n_bytes;
  for (const auto& [begin, end] : tokens.bytes) {
    n_bytes.push_back(static_cast<std::int32_t>(end - begin));
  }
  Json json = {{"text", tokens.text}, {"id", array_of(tokens.id)}, {"n_bytes", array_of(n_bytes)}};
  if (!tokens.upos.empty()) {
    json["tag"] = array_of(tokens.upos);
    json["word"] = array_of(tokens.word);
  }
  return json;
}

Json signals_json(const RunSignals& signals, const RunModel& model, const PageDetail& detail) {
  const std::size_t n = signals.entropy.size();
  Json scalars = Json::object();
  const auto values = token_signals(signals);
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    scalars[kSignals[k].name] = array_of(narrowed(values[k]));
  }
  scalars["entropy-topk"] = array_of(signals.entropy_topk);
  const auto by_layer = [&](const std::vector<float>& array, std::int64_t n_heads) {
    return layered(array, n_heads, n, detail.kv_heads, detail.layer_bits);
  };
  return {{"scalars", scalars},
          {"entropy_k", signals.entropy_k},
          {"layered",
           {{"drift", by_layer(signals.drift, 1)},
            {"attention-window", by_layer(signals.attention_window, model.n_kv_heads)},
            {"attention-cumulative", by_layer(signals.attention_cumulative, model.n_kv_heads)}}}};
}

Json json_of(const std::vector<DistanceBin>& bins) {
  Json json = Json::array();
  for (const DistanceBin& bin : bins) json.push_back({bin.begin, bin.end});
  return json;
}

/// Writes every span's influence in every bin: `index` [M] among the subjects, `mean` [M, bins]
/// with values under the noise floor as the floor, `values` and `below` [M, bins] their counts.
Json binned_json(const std::vector<MeasuredSubject>& measured) {
  std::vector<std::int32_t> index;
  std::vector<float> mean;
  std::vector<std::int32_t> n_values;
  std::vector<std::int32_t> n_below;
  for (const MeasuredSubject& subject : measured) {
    index.push_back(static_cast<std::int32_t>(subject.index));
    for (const BinnedInfluence& binned : subject.bins) {
      mean.push_back(static_cast<float>(binned.upper_mean));
      n_values.push_back(static_cast<std::int32_t>(binned.n_values));
      n_below.push_back(static_cast<std::int32_t>(binned.n_below_floor));
    }
  }
  return {{"index", array_of(index)},
          {"mean", array_of(mean)},
          {"values", array_of(n_values)},
          {"below", array_of(n_below)}};
}

NearAndFar near_and_far_of(const Sample& sample, std::size_t n_bins) {
  std::vector<std::size_t> n_subjects(n_bins, 0);
  for (const std::size_t s : sample.population) {
    for (std::size_t bin = 0; bin < n_bins; ++bin) {
      n_subjects[bin] += sample.subjects[s].bins[bin].n_values > 0;
    }
  }
  return near_and_far(n_subjects);
}

Json subjects_json(const RunInfluence& influence) {
  std::vector<std::int32_t> spans;
  Json groups = Json::array();
  Json sets = Json::array();
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    const RunSubject& subject = influence.subjects[s];
    spans.push_back(subject.begin);
    spans.push_back(subject.end);
    groups.push_back(subject.group);
    if (!subject.is_set()) continue;
    sets.push_back(
        {{"index", s}, {"label", subject.label}, {"removed", array_of(subject.tokens())}});
  }
  return {{"span", array_of(spans)},
          {"start", array_of(influence.start)},
          {"group", groups},
          {"sets", sets}};
}

/// kl [S, H] with every value at or under its floor as 0: the page cannot draw what it does not
/// have.
std::vector<float> above_floor(const RunInfluence& influence) {
  const std::size_t horizon = influence.noise_floor.size();
  std::vector<float> kl;
  kl.reserve(influence.kl.size());
  for (std::size_t i = 0; i < influence.kl.size(); ++i) {
    const bool below = influence.kl[i] <= influence.noise_floor[i % horizon];
    kl.push_back(below ? 0.0f : static_cast<float>(influence.kl[i]));
  }
  return kl;
}

Json influence_json(const DocumentRun& document, const std::vector<DistanceBin>& bins, int bits) {
  const RunInfluence& influence = document.influence;
  Json json = {{"subjects", subjects_json(influence)},
               {"kl", coded_array(above_floor(influence), bits, kAllDecades)},
               {"noise_floor", array_of(narrowed(influence.noise_floor))},
               {"selection", influence.selection},
               {"evict_at", influence.evict_at},
               {"lag", influence.lag},
               {"layers", influence.layers},
               {"heads", influence.heads},
               {"method", influence.method},
               {"precision", influence.precision}};
  const Sample sample = make_sample(document, bins, {}, {});
  json["bins"] = json_of(bins);
  json["binned"] = binned_json(sample.subjects);
  if (!bins.empty()) {
    const NearAndFar chosen = near_and_far_of(sample, bins.size());
    json["near"] = chosen.near;
    json["far"] = chosen.far;
  }
  return json;
}

/// Says whether the subject is one whole sentence and was removed as such.
bool is_sentence(const RunSubject& subject, const std::vector<std::int32_t>& bounds) {
  if (subject.group != schema::kSentenceGroup || subject.is_set()) return false;
  const auto begin = std::lower_bound(bounds.begin(), bounds.end(), subject.begin);
  return bounds.end() - begin > 1 && begin[0] == subject.begin && begin[1] == subject.end;
}

/// Writes the influence of removed sentences on later ones: `bounds` [N + 1] of the sentences'
/// tokens; of every sentence that was removed `subject`, its index among the subjects, and `count`
/// values of `mean`, nats, one for sentence `first` and each after it: 0 where it is at or under
/// the noise floor, NaN where it is not measured. Null where nothing of this is measured.
Json sentences_json(const DocumentRun& document) {
  const RunInfluence& influence = document.influence;
  const std::vector<std::int32_t> bounds = sentence_bounds(document.tokens);
  std::vector<std::int32_t> subjects;
  std::vector<std::int32_t> first;
  std::vector<std::int32_t> counts;
  std::vector<float> mean;
  bool is_measured = false;
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    if (!is_sentence(influence.subjects[s], bounds)) continue;
    const SentenceInfluence row = influence_on_sentences(influence, s, bounds);
    if (row.kl_nats.empty()) continue;
    subjects.push_back(static_cast<std::int32_t>(s));
    first.push_back(static_cast<std::int32_t>(row.first));
    counts.push_back(static_cast<std::int32_t>(row.kl_nats.size()));
    for (std::size_t i = 0; i < row.kl_nats.size(); ++i) {
      const double nats = row.kl_nats[i];
      mean.push_back(nats <= row.floor_nats[i] ? 0.0f : static_cast<float>(nats));
      is_measured = is_measured || !std::isnan(nats);
    }
  }
  if (!is_measured) return nullptr;
  return {{"bounds", array_of(bounds)},
          {"subject", array_of(subjects)},
          {"first", array_of(first)},
          {"count", array_of(counts)},
          {"mean", array_of(mean)}};
}

Json sketch_json(const RunSketch& sketch, const DocumentRun& document, const RunModel& model,
                 const PageDetail& detail) {
  Json json = {{"bins", sketch.bins},
               {"fi", array_of(sketch.fi)},
               {"standard_error", array_of(sketch.standard_error)},
               {"probes", sketch.probes},
               {"probe_kind", sketch.probe_kind}};
  if (sketch.fi_parts.empty()) return json;
  const bool by_head = sketch.detail == schema::kDetailHead;
  json["parts"] = layered(sketch.fi_parts, by_head ? model.n_kv_heads : 1,
                          static_cast<std::size_t>(document.context_tokens),
                          detail.kv_heads && by_head, detail.layer_bits);
  return json;
}

/// One bit for each of `flags`, from the lowest of the first byte on.
std::vector<std::uint8_t> packed(const std::vector<std::uint8_t>& flags) {
  std::vector<std::uint8_t> bits((flags.size() + 7) / 8, 0);
  for (std::size_t i = 0; i < flags.size(); ++i) {
    bits[i / 8] = static_cast<std::uint8_t>(bits[i / 8] | (flags[i] << (i % 8)));
  }
  return bits;
}

Json retention_json(const RunRetention& retention) {
  return {{"name", retention.name()},
          {"kept", array_of(packed(retention.kept))},
          {"kl", array_of(narrowed(retention.kl))},
          {"top1", array_of(retention.top1)},
          {"bytes_kept", retention.bytes_kept},
          {"bytes_full", retention.bytes_full},
          {"kv_bits", retention.kv_bits}};
}

}  // namespace

std::string run_json(const RunFile& run) {
  Json names = Json::array();
  for (const DocumentRun& document : run.documents) names.push_back(document.name);
  Json signals = Json::object();
  for (const Signal& signal : kSignals) signals[signal.name] = signal.meaning;
  const RunModel& model = run.model;
  return for_script({{"tool_version", run.tool_version},
                     {"configuration", run.configuration},
                     {"model",
                      {{"name", model.name},
                       {"n_layers", model.n_layers},
                       {"n_heads", model.n_heads},
                       {"n_kv_heads", model.n_kv_heads}}},
                     {"documents", names},
                     {"tags", schema::kUniversalTags},
                     {"signals", signals}});
}

std::string document_json(const DocumentRun& document, const RunModel& model,
                          const std::vector<DistanceBin>& bins, const PageDetail& detail) {
  Json json = {{"name", document.name},
               {"context", document.context_tokens},
               {"future", document.future_tokens},
               {"complete", document.complete},
               {"tokens", tokens_json(document.tokens)},
               {"signals", signals_json(document.signals, model, detail)}};
  if (!document.influence.subjects.empty()) {
    json["influence"] = influence_json(document, bins, detail.curve_bits);
    json["sentences"] = sentences_json(document);
  }
  if (document.sketch) json["sketch"] = sketch_json(*document.sketch, document, model, detail);
  json["retention"] = Json::array();
  for (const RunRetention& one : document.retention)
    json["retention"].push_back(retention_json(one));
  return for_script(json);
}

}  // namespace longshadow
