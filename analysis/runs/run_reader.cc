#include "analysis/runs/run_reader.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "analysis/runs/run_directory.h"
#include "analysis/runs/run_reader_parts.h"
#include "data/format/error.h"
#include "data/format/hdf5.h"
#include "data/format/schema.h"
#include "data/format/sentences.h"
#include "engine/core/sha256.h"

namespace longshadow {

using hdf5::Group;

void refuse(const Group& group, const std::string& what) {
  throw FormatError(group.path() + ": " + what);
}

bool has_control_character(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c); });
}

bool is_impossible_kl(double nats) { return std::isinf(nats) || nats < -1.0; }

void check_context(const Group& group, const DocumentRun& document) {
  const std::size_t n = document.tokens.id.size();
  if (document.context_tokens < 1 || static_cast<std::uint64_t>(document.context_tokens) > n) {
    refuse(group, "expected a context of 1 to " + std::to_string(n) + " tokens, found " +
                      std::to_string(document.context_tokens));
  }
}

void check_format(const Group& root, const std::string& expected) {
  const std::string format = root.string_attribute(schema::kFormatName);
  if (format != expected) {
    refuse(root, "expected a " + expected + (expected == schema::kFormat ? " run" : "") +
                     " file, found another");
  }
  const std::int64_t version = root.int64_attribute(schema::kFormatVersionName);
  if (version != schema::kFormatVersion) {
    refuse(root, "expected format version " + std::to_string(schema::kFormatVersion) + ", found " +
                     std::to_string(version) + "; a newer longshadow may read it");
  }
}

void read_configuration(const Group& root, RunFile& run) {
  run.tool_version = root.string_attribute(schema::kToolVersion);
  run.configuration = root.string_attribute(schema::kConfiguration);
  run.configuration_hash = root.string_attribute(schema::kConfigurationHash);
  const std::string hash = sha256_hex(std::as_bytes(std::span(run.configuration)));
  if (run.configuration_hash != hash) {
    refuse(root, "expected configuration_hash to be the SHA-256 of configuration, " + hash +
                     ", found another; one of the two was changed");
  }
}

void check_document_name(const Group& documents, const std::string& name) {
  // The name is printed, and a terminal must not obey it; libhdf5 would read a '/' as a path.
  if (has_control_character(name) || name.find('/') != std::string::npos) {
    refuse(documents, "expected document names without '/' or control characters");
  }
}

namespace {

/// A dimension of the model: positive, and small enough that products of a few cannot overflow.
std::int64_t dimension(const Group& group, const char* name) {
  const std::int64_t value = group.int64_attribute(name);
  if (value < 1 || value > std::numeric_limits<std::int32_t>::max()) {
    refuse(group,
           "expected a positive 32-bit " + std::string(name) + ", found " + std::to_string(value));
  }
  return value;
}

}  // namespace

RunModel read_model(const Group& group) {
  RunModel model;
  model.name = group.string_attribute(schema::kModelName);
  model.architecture = group.string_attribute(schema::kArchitecture);
  model.n_layers = dimension(group, schema::kLayers);
  model.n_heads = dimension(group, schema::kHeads);
  model.n_kv_heads = dimension(group, schema::kKvHeads);
  model.head_dim = dimension(group, schema::kHeadDim);
  model.hidden_size = dimension(group, schema::kHiddenSize);
  model.vocab_size = dimension(group, schema::kVocabSize);
  model.weights_sha256 = group.string_attribute(schema::kWeightsSha256);
  if (group.has(schema::kWindows)) {
    model.windows =
        group.read<std::int32_t>(schema::kWindows, {static_cast<std::uint64_t>(model.n_layers)});
    for (const std::int32_t window : model.windows) {
      if (window >= 0) continue;
      refuse(group, "expected windows of 0 tokens or more, found " + std::to_string(window));
    }
  }
  return model;
}

namespace {

/// The length of a one-dimensional dataset, at least 1.
template <typename T>
std::uint64_t length(const Group& group, const char* name) {
  const hdf5::Shape shape = group.shape<T>(name);
  if (shape.size() != 1 || shape[0] == 0) {
    refuse(group, "expected one dimension that is not empty in " + std::string(name));
  }
  return shape[0];
}

/// Words are counted from 0 and go on from token to token.
void read_parts_of_speech(const Group& group, std::uint64_t n, RunTokens& tokens) {
  if (!group.has(schema::kUpos)) return;
  tokens.upos = group.read_enum(schema::kUpos, n, schema::kUniversalTags);
  tokens.word = group.read<std::int32_t>(schema::kWord, {n});
  std::int32_t last = 0;
  for (const std::int32_t word : tokens.word) {
    if (word == schema::kNoWord) continue;
    if (word < last) refuse(group, "expected the words of tokens to ascend from 0");
    last = word;
  }
}

/// Files of older programs have none.
void read_sentences(const Group& group, std::uint64_t n, RunTokens& tokens) {
  if (!group.has(schema::kSentence)) return;
  tokens.sentence = group.read<std::int32_t>(schema::kSentence, {n});
  if (!counts_sentences(tokens.sentence)) {
    refuse(group, "expected the sentences of tokens to count up from 0 one by one");
  }
}

RunTokens read_tokens(const Group& group) {
  RunTokens tokens;
  const std::uint64_t n = length<std::int32_t>(group, schema::kId);
  tokens.id = group.read<std::int32_t>(schema::kId, {n});
  tokens.text = group.read_strings(schema::kText, n);
  const auto bytes = group.read<std::uint64_t>(schema::kBytes, {n, 2});
  for (std::uint64_t i = 0; i < n; ++i) tokens.bytes.push_back({bytes[2 * i], bytes[2 * i + 1]});
  read_parts_of_speech(group, n, tokens);
  read_sentences(group, n, tokens);
  return tokens;
}

RunSignals read_signals(const Group& group, const RunModel& model, std::uint64_t n) {
  const auto n_layers = static_cast<std::uint64_t>(model.n_layers);
  const auto n_kv_heads = static_cast<std::uint64_t>(model.n_kv_heads);
  const hdf5::Shape attention = {n_layers, n_kv_heads, n};
  RunSignals signals;
  signals.entropy = group.read<float>(schema::kEntropy, {n});
  signals.entropy_topk = group.read<float>(schema::kEntropyTopK, {n});
  signals.entropy_k = group.dataset(schema::kEntropyTopK).int64_attribute(schema::kEntropyK);
  signals.surprisal = group.read<float>(schema::kSurprisal, {n});
  signals.drift = group.read<float>(schema::kDrift, {n_layers, n});
  signals.attention_window = group.read<float>(schema::kAttentionWindow, attention);
  signals.attention_cumulative = group.read<float>(schema::kAttentionCumulative, attention);
  return signals;
}

/// Subjects must be spans that end before their start, and the horizon must be within n tokens.
void check_influence(const Group& group, const RunInfluence& influence, std::uint64_t n) {
  const std::uint64_t horizon = influence.noise_floor.size();
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    const RunSubject& subject = influence.subjects[s];
    const std::int32_t start = influence.start[s];
    if (subject.begin < 0 || subject.begin >= subject.end || subject.end > start ||
        static_cast<std::uint64_t>(start) + horizon > n) {
      refuse(group, "expected every subject to end before its start, and its horizon within the " +
                        std::to_string(n) + " tokens, found subject " + std::to_string(s) + " [" +
                        std::to_string(subject.begin) + ", " + std::to_string(subject.end) +
                        ") with start " + std::to_string(start));
    }
  }
  const auto no_floor = [](double floor) { return !std::isfinite(floor) || floor < 0.0; };
  if (std::any_of(influence.noise_floor.begin(), influence.noise_floor.end(), no_floor)) {
    refuse(group, "expected a noise floor of at least 0 nats, found a negative or infinite one");
  }
}

}  // namespace

std::vector<double> read_kl(const Group& group, std::uint64_t n_subjects, std::uint64_t horizon) {
  std::vector<double> kl = group.read<double>(schema::kKl, {n_subjects, horizon});
  if (std::any_of(kl.begin(), kl.end(), is_impossible_kl)) {
    refuse(group, "expected influences of at least 0 nats, found a negative or infinite one");
  }
  return kl;
}

std::vector<float> read_rerouted(const Group& group, std::uint64_t n_subjects,
                                 const RunModel& model) {
  if (!group.has(schema::kRerouted)) return {};
  std::vector<float> shares = group.read<float>(
      schema::kRerouted, {n_subjects, static_cast<std::uint64_t>(model.n_layers)});
  if (std::any_of(shares.begin(), shares.end(),
                  [](float share) { return share < 0 || share > 1; })) {
    refuse(group, "expected shares from 0 to 1 in rerouted, found another value");
  }
  return shares;
}

namespace {

/// Gives each subject that is not its whole span the tokens it removed.
void read_removed(const Group& group, std::vector<RunSubject>& subjects) {
  const auto offsets =
      group.read<std::uint64_t>(schema::kRemovedOffset, {std::uint64_t{subjects.size()} + 1});
  const auto removed =
      group.read<std::int32_t>(schema::kRemoved, {length<std::int32_t>(group, schema::kRemoved)});
  if (offsets.front() != 0 || offsets.back() != removed.size() ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    refuse(group, "expected removed_offset to rise from 0 to the " +
                      std::to_string(removed.size()) + " removed tokens");
  }
  for (std::size_t s = 0; s < subjects.size(); ++s) {
    RunSubject& subject = subjects[s];
    const std::vector<std::int32_t> tokens(
        removed.begin() + static_cast<std::ptrdiff_t>(offsets[s]),
        removed.begin() + static_cast<std::ptrdiff_t>(offsets[s + 1]));
    if (tokens.empty() || tokens.front() != subject.begin || tokens.back() != subject.end - 1 ||
        !std::is_sorted(tokens.begin(), tokens.end(), std::less_equal<>())) {
      refuse(group, "expected the removed tokens of subject " + std::to_string(s) +
                        " sorted, from the first to the last of its span");
    }
    const auto span = static_cast<std::size_t>(subject.end - subject.begin);
    if (tokens.size() < span) subject.removed = tokens;
  }
}

/// Gives each subject that left layers and KV heads unlike each other the slots that it left.
void read_evicted(const Group& group, const DocumentRun& document, const RunModel& model,
                  std::vector<RunSubject>& subjects) {
  const std::uint64_t n_evicted = length<std::int32_t>(group, schema::kEvictedSubject);
  const auto which = group.read<std::int32_t>(schema::kEvictedSubject, {n_evicted});
  const auto n_layers = static_cast<std::uint64_t>(model.n_layers);
  const auto n_heads = static_cast<std::uint64_t>(model.n_kv_heads);
  const auto n_tokens = static_cast<std::uint64_t>(document.context_tokens);
  const auto evicted =
      group.read<std::uint8_t>(schema::kEvicted, {n_evicted, n_layers, n_heads, n_tokens});
  if (which.empty() || which.front() < 0 || which.back() >= std::ssize(subjects) ||
      !std::is_sorted(which.begin(), which.end(), std::less_equal<>())) {
    refuse(group, "expected evicted_subject to rise from 0 on below the " +
                      std::to_string(subjects.size()) + " subjects");
  }
  if (std::any_of(evicted.begin(), evicted.end(), [](std::uint8_t flag) { return flag > 1; })) {
    refuse(group, "expected 0 or 1 in evicted, found another value");
  }
  const auto size = static_cast<std::ptrdiff_t>(n_layers * n_heads * n_tokens);
  auto begin = evicted.begin();
  for (const std::int32_t s : which) {
    subjects[static_cast<std::size_t>(s)].evicted.assign(begin, begin + size);
    begin += size;
  }
}

/// Layers or heads that subjects left: early files of version 1 do not say, and have everywhere.
std::string evicted_part(const Group& group, const char* name) {
  return group.has_attribute(name) ? group.string_attribute(name) : schema::kEverywhere;
}

/// All of it but `kl` and `rerouted`.
RunInfluence read_influence(const Group& group, const DocumentRun& document,
                            const RunModel& model) {
  const std::string kind = group.string_attribute(schema::kSubjectKind);
  if (kind != schema::kSubjectKindSpan && kind != schema::kSubjectKindSet) {
    refuse(group, "expected subjects of kind \"span\" or \"set\", found \"" + kind + "\"");
  }
  RunInfluence influence;
  const std::uint64_t n_subjects = length<std::int32_t>(group, schema::kStart);
  const std::uint64_t horizon = length<double>(group, schema::kNoiseFloor);
  const auto spans = group.read<std::int32_t>(schema::kSubject, {n_subjects, 2});
  std::vector<std::string> labels = group.read_strings(schema::kLabel, n_subjects);
  std::vector<std::string> groups = group.read_strings(schema::kGroup, n_subjects);
  for (std::uint64_t s = 0; s < n_subjects; ++s) {
    influence.subjects.push_back(
        {spans[2 * s], spans[2 * s + 1], std::move(labels[s]), std::move(groups[s])});
  }
  influence.start = group.read<std::int32_t>(schema::kStart, {n_subjects});
  influence.noise_floor = group.read<double>(schema::kNoiseFloor, {horizon});
  influence.selection = group.string_attribute(schema::kSelection);
  influence.evict_at = group.string_attribute(schema::kEvictAt);
  influence.lag = group.int64_attribute(schema::kLag);
  influence.layers = evicted_part(group, schema::kEvictedLayers);
  influence.heads = evicted_part(group, schema::kEvictedHeads);
  influence.method = group.string_attribute(schema::kMethod);
  influence.precision = group.string_attribute(schema::kPrecision);
  influence.seed = group.uint64_attribute(schema::kSeed);
  check_influence(group, influence, document.tokens.id.size());
  if (kind == schema::kSubjectKindSet) read_removed(group, influence.subjects);
  if (group.has(schema::kEvicted)) read_evicted(group, document, model, influence.subjects);
  return influence;
}

/// Bins must lie within the future, and estimates be at least 0.
void check_sketch(const Group& group, const DocumentRun& document, const RunSketch& sketch) {
  if (sketch.probes < 1) refuse(group, "expected at least one probe");
  for (const auto& [begin, end] : sketch.bins) {
    if (begin < 0 || begin >= end || end > document.future_tokens) {
      refuse(group, "expected bins within " + std::to_string(document.future_tokens) +
                        " future tokens, found [" + std::to_string(begin) + ", " +
                        std::to_string(end) + ")");
    }
  }
  const auto impossible = [](float nats) { return !(nats >= 0) || std::isinf(nats); };
  for (const auto* values : {&sketch.fi, &sketch.standard_error, &sketch.fi_parts}) {
    if (std::any_of(values->begin(), values->end(), impossible)) {
      refuse(group, "expected finite estimates of at least 0 nats, found another");
    }
  }
  if (!std::all_of(sketch.projections.begin(), sketch.projections.end(),
                   [](float value) { return std::isfinite(value); })) {
    refuse(group, "expected finite projections, found another");
  }
}

RunSketch read_sketch(const Group& group, const DocumentRun& document, const RunModel& model,
                      Projections projections) {
  check_context(group, document);
  RunSketch sketch;
  const hdf5::Shape shape = group.shape<std::int32_t>(schema::kBins);
  if (shape.size() != 2 || shape[0] == 0) refuse(group, "expected bins of two columns");
  const std::uint64_t n_bins = shape[0];
  const auto n_tokens = static_cast<std::uint64_t>(document.context_tokens);
  const auto n_layers = static_cast<std::uint64_t>(model.n_layers);
  const auto n_heads = static_cast<std::uint64_t>(model.n_kv_heads);
  const auto bins = group.read<std::int32_t>(schema::kBins, {n_bins, 2});
  for (std::uint64_t b = 0; b < n_bins; ++b) sketch.bins.push_back({bins[2 * b], bins[2 * b + 1]});
  sketch.fi = group.read<float>(schema::kSketchFi, {n_bins, n_tokens});
  sketch.standard_error = group.read<float>(schema::kStandardError, {n_bins, n_tokens});
  sketch.detail = group.string_attribute(schema::kDetail);
  if (sketch.detail == schema::kDetailLayer) {
    sketch.fi_parts = group.read<float>(schema::kFiByLayer, {n_bins, n_layers, n_tokens});
  } else if (sketch.detail == schema::kDetailHead) {
    sketch.fi_parts = group.read<float>(schema::kFiByHead, {n_bins, n_layers, n_heads, n_tokens});
  } else if (sketch.detail != schema::kDetailToken) {
    refuse(group,
           "expected detail \"token\", \"layer\" or \"head\", found \"" + sketch.detail + "\"");
  }
  sketch.probe_kind = group.string_attribute(schema::kProbeKind);
  sketch.probes = group.int64_attribute(schema::kProbes);
  sketch.seed = group.uint64_attribute(schema::kSeed);
  if (projections == Projections::read && group.has(schema::kProjections)) {
    const auto n_probes = static_cast<std::uint64_t>(sketch.probes);
    sketch.projections =
        group.read<float>(schema::kProjections, {n_bins, n_probes, n_layers, n_heads, n_tokens});
  }
  check_sketch(group, document, sketch);
  return sketch;
}

/// All but counterfactuals and policies.
DocumentRun read_text(const Group& group, const std::string& name, const RunModel& model,
                      Projections projections) {
  DocumentRun document;
  document.name = name;
  document.source_sha256 = group.string_attribute(schema::kSourceSha256);
  document.context_tokens = group.int64_attribute(schema::kContextTokens);
  document.future_tokens = group.int64_attribute(schema::kFutureTokens);
  document.complete = group.int64_attribute(schema::kComplete) != 0;
  document.tokens = read_tokens(group.group(schema::kTokens));
  const std::uint64_t n = document.tokens.id.size();
  document.signals = read_signals(group.group(schema::kSignals), model, n);
  if (group.has(schema::kSketch)) {
    document.sketch = read_sketch(group.group(schema::kSketch), document, model, projections);
  }
  return document;
}

DocumentRun read_document(const Group& documents, const std::string& name, const RunModel& model,
                          Projections projections) {
  check_document_name(documents, name);
  const Group group = documents.group(name);
  DocumentRun document = read_text(group, name, model, projections);
  if (group.has(schema::kRetention)) {
    document.retention = read_retention(group.group(schema::kRetention), document, model);
  }
  const bool has_others = document.sketch || !document.retention.empty();
  if (!has_others || group.has(schema::kInfluence)) {
    const Group measured = group.group(schema::kInfluence);
    RunInfluence& influence = document.influence;
    influence = read_influence(measured, document, model);
    influence.kl = read_kl(measured, influence.subjects.size(), influence.noise_floor.size());
    influence.rerouted = read_rerouted(measured, influence.subjects.size(), model);
  }
  return document;
}

RunFile read_root(const Group& root, Projections projections) {
  check_format(root, schema::kFormat);
  RunFile run;
  read_configuration(root, run);
  run.model = read_model(root.group(schema::kModel));
  const Group documents = root.group(schema::kDocuments);
  for (const std::string& name : documents.names()) {
    run.documents.push_back(read_document(documents, name, run.model, projections));
  }
  if (run.documents.empty()) refuse(documents, "expected at least one document, found none");
  return run;
}

/// Reads the documents of which something is measured.
RunFile read_directory(const RunDirectory& directory, Projections projections) {
  RunFile run = directory.plan().run;
  for (std::size_t d = 0; d < directory.plan().documents.size(); ++d) {
    if (!directory.has_pass(d)) continue;
    DocumentRun document = directory.read_document(d, projections);
    const std::vector<double>& kl = document.influence.kl;
    const bool has_influence =
        std::any_of(kl.begin(), kl.end(), [](double value) { return !std::isnan(value); });
    if (!has_influence) document.influence = {};
    if (has_influence || document.sketch || !document.retention.empty()) {
      run.documents.push_back(std::move(document));
    }
  }
  if (run.documents.empty()) {
    throw FormatError(describe(measured_share(directory), directory) +
                      "; expected at least one document of which something is");
  }
  return run;
}

}  // namespace

DocumentRun read_pass_document(const Group& group, const std::string& name, const RunModel& model,
                               Projections projections) {
  DocumentRun document = read_text(group, name, model, projections);
  if (group.has(schema::kInfluence)) {
    document.influence = read_influence(group.group(schema::kInfluence), document, model);
  }
  return document;
}

RunFile read_run(const std::filesystem::path& path, Projections projections) {
  if (std::filesystem::is_directory(path)) {
    return read_directory(RunDirectory(path), projections);
  }
  const hdf5::ReadOnlyFile file(path);
  try {
    return read_root(file.root(), projections);
  } catch (const FormatError& error) {
    throw FormatError(path.string() + ": " + error.what());
  }
}

std::string read_configuration_hash(const std::filesystem::path& path) {
  const hdf5::ReadOnlyFile file(path);
  const Group root = file.root();
  check_format(root, schema::kFormat);
  return root.string_attribute(schema::kConfigurationHash);
}

}  // namespace longshadow
