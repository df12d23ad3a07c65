#include "data/format/run_writer.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/format/error.h"
#include "data/format/hdf5.h"
#include "data/format/publish.h"
#include "data/format/run_writer_parts.h"
#include "data/format/schema.h"
#include "data/format/sentences.h"
#include "engine/text/utf8.h"

namespace longshadow {

using hdf5::Dataset;
using hdf5::Group;

void refuse(const std::string& what) { throw FormatError("cannot write a run file: " + what); }

Dataset write_scale(const Group& group, const char* name, std::size_t extent) {
  std::vector<std::int32_t> values(extent);
  std::iota(values.begin(), values.end(), 0);
  Dataset scale = group.write<std::int32_t>(name, values, {extent});
  scale.make_scale(name);
  return scale;
}

void check_name(const std::string& name, std::set<std::string>& others) {
  const bool printable =
      std::none_of(name.begin(), name.end(), [](unsigned char c) { return std::iscntrl(c); });
  if (name.empty() || name == "." || name.find('/') != std::string::npos || !printable) {
    refuse("expected a document name without '/' or control characters, found '" + name + "'");
  }
  if (!others.insert(name).second) {
    refuse("expected documents of different names, found '" + name + "' twice");
  }
}

namespace {

/// Whether a set lies in its span, touches both its ends and leaves some of it out.
bool is_set_with_gaps(const RunSubject& subject) {
  const std::vector<std::int32_t>& removed = subject.removed;
  return removed.front() == subject.begin && removed.back() == subject.end - 1 &&
         std::is_sorted(removed.begin(), removed.end(), std::less_equal<>()) &&
         removed.size() < static_cast<std::size_t>(subject.end - subject.begin);
}

void check_influence(const DocumentRun& document) {
  const RunInfluence& influence = document.influence;
  const auto n = static_cast<std::int64_t>(document.tokens.id.size());
  const auto horizon = static_cast<std::int64_t>(influence.noise_floor.size());
  if (influence.evict_at != schema::kEvictAtEnd && influence.evict_at != schema::kEvictAtLag) {
    refuse("expected evict_at \"end\" or \"lag\", found \"" + influence.evict_at + "\"");
  }
  if (influence.start.size() != influence.subjects.size()) {
    refuse("expected one start for each of " + std::to_string(influence.subjects.size()) +
           " subjects, found " + std::to_string(influence.start.size()));
  }
  for (std::size_t s = 0; s < influence.subjects.size(); ++s) {
    const RunSubject& subject = influence.subjects[s];
    if (subject.begin < 0 || subject.begin >= subject.end || subject.end > influence.start[s] ||
        influence.start[s] + horizon > n) {
      refuse("expected subject " + std::to_string(s) + " of " + document.name +
             " to end before its start, and its horizon within " + std::to_string(n) +
             " tokens, found [" + std::to_string(subject.begin) + ", " +
             std::to_string(subject.end) + ") and start " + std::to_string(influence.start[s]));
    }
    if (!subject.removed.empty() && !is_set_with_gaps(subject)) {
      refuse("expected the removed tokens of subject " + std::to_string(s) + " of " +
             document.name + " to be sorted, to reach from " + std::to_string(subject.begin) +
             " to " + std::to_string(subject.end - 1) + " and to leave a gap");
    }
  }
}

void check_sketch(const DocumentRun& document) {
  const RunSketch& sketch = *document.sketch;
  if (sketch.bins.empty()) refuse("expected a sketch with at least one bin, found none");
  for (const auto& [begin, end] : sketch.bins) {
    if (begin < 0 || begin >= end || end > document.future_tokens) {
      refuse("expected bins of a sketch within " + std::to_string(document.future_tokens) +
             " future tokens, found [" + std::to_string(begin) + ", " + std::to_string(end) + ")");
    }
  }
  if (!sketch.projections.empty() && sketch.detail != schema::kDetailHead) {
    refuse("expected projections of a sketch by head alone, found them by " + sketch.detail);
  }
}

/// Text that netCDF's readers decode, as libhdf5's and h5py do without being told.
Dataset write_texts(const Group& group, const char* name, const std::vector<std::string>& texts) {
  Dataset dataset = group.write_strings(name, texts);
  dataset.write_attribute(schema::kTextEncoding, "utf-8");
  return dataset;
}

Dataset write_display_texts(const Group& group, const char* name,
                            const std::vector<std::string>& texts) {
  std::vector<std::string> displayable;
  for (const std::string& text : texts) displayable.push_back(displayable_utf8(text));
  return write_texts(group, name, displayable);
}

/// Pairs [begin, end) as a dataset of two columns, the only one of its group.
template <typename T>
Dataset write_ranges(const Group& group, const char* name, const std::vector<T>& flat,
                     const Axis& rows) {
  Dataset dataset = group.write<T>(name, flat, {rows.extent, 2});
  dataset.attach_scale(0, rows.scale, rows.label);
  const Dataset columns = write_texts(group, schema::kBeginEnd, {"begin", "end"});
  columns.make_scale(schema::kBeginEnd);
  dataset.attach_scale(1, columns, schema::kBeginEnd);
  return dataset;
}

/// Leaves the datasets out where the tokens have no tags.
void write_parts_of_speech(const Group& group, const RunTokens& tokens, const Axis& token) {
  if (tokens.upos.size() != tokens.word.size() ||
      (!tokens.upos.empty() && tokens.upos.size() != token.extent)) {
    refuse("expected a part of speech and a word for each of " + std::to_string(token.extent) +
           " tokens or for none, found " + std::to_string(tokens.upos.size()) + " and " +
           std::to_string(tokens.word.size()));
  }
  if (tokens.upos.empty()) return;
  group.write_enum(schema::kUpos, tokens.upos, schema::kUniversalTags)
      .attach_scale(0, token.scale, token.label);
  group.write<std::int32_t>(schema::kWord, tokens.word, {token.extent})
      .attach_scale(0, token.scale, token.label);
}

/// Leaves the dataset out where the tokens have no sentences.
void write_sentences(const Group& group, const RunTokens& tokens, const Axis& token) {
  if (tokens.sentence.empty()) return;
  if (tokens.sentence.size() != token.extent || !counts_sentences(tokens.sentence)) {
    refuse("expected a sentence for each of " + std::to_string(token.extent) +
           " tokens, the first 0 and each as before or the next, or for none");
  }
  group.write<std::int32_t>(schema::kSentence, tokens.sentence, {token.extent})
      .attach_scale(0, token.scale, token.label);
}

// Every dimension of a group has its scale in the group or above it, where netCDF's data model
// looks for it: so a group has scales of its own even where another's would be the same.

void write_tokens(const Group& group, const RunTokens& tokens) {
  const std::size_t n = tokens.id.size();
  if (tokens.text.size() != n || tokens.bytes.size() != n) {
    refuse("expected a text and a byte range for each of " + std::to_string(n) + " tokens, found " +
           std::to_string(tokens.text.size()) + " and " + std::to_string(tokens.bytes.size()));
  }
  const Dataset position = write_scale(group, schema::kPosition, n);
  const Axis token{position, "token", n};
  group.write<std::int32_t>(schema::kId, tokens.id, {n}).attach_scale(0, position, token.label);
  write_display_texts(group, schema::kText, tokens.text).attach_scale(0, position, token.label);
  std::vector<std::uint64_t> bytes;
  for (const auto& [begin, end] : tokens.bytes) bytes.insert(bytes.end(), {begin, end});
  write_ranges(group, schema::kBytes, bytes, token).write_attribute(schema::kUnits, "bytes");
  write_parts_of_speech(group, tokens, token);
  write_sentences(group, tokens, token);
}

void write_signals(const Group& group, const RunSignals& signals, const RunModel& model,
                   std::size_t n) {
  const auto n_layers = static_cast<std::size_t>(model.n_layers);
  const auto n_kv_heads = static_cast<std::size_t>(model.n_kv_heads);
  const Dataset layers = write_scale(group, schema::kLayer, n_layers);
  const Dataset heads = write_scale(group, schema::kKvHead, n_kv_heads);
  const Dataset positions = write_scale(group, schema::kPosition, n);
  const Axis layer{layers, "layer", n_layers};
  const Axis kv_head{heads, "kv_head", n_kv_heads};
  const Axis token{positions, "token", n};
  write_array(group, schema::kEntropy, signals.entropy, {token}, schema::kNats);
  write_array(group, schema::kEntropyTopK, signals.entropy_topk, {token}, schema::kNats)
      .write_attribute(schema::kEntropyK, signals.entropy_k);
  write_array(group, schema::kSurprisal, signals.surprisal, {token}, schema::kNats);
  write_array(group, schema::kDrift, signals.drift, {layer, token}, "1 - cosine");
  write_array(group, schema::kAttentionWindow, signals.attention_window, {layer, kv_head, token},
              "attention weight");
  write_array(group, schema::kAttentionCumulative, signals.attention_cumulative,
              {layer, kv_head, token}, "attention weight");
}

/// The tokens of each subject, one subject behind the other, and where each one's begin.
void write_removed(const Group& group, const std::vector<RunSubject>& subjects) {
  std::vector<std::int32_t> removed;
  std::vector<std::uint64_t> offsets = {0};
  for (const RunSubject& subject : subjects) {
    const std::vector<std::int32_t> tokens = subject.tokens();
    removed.insert(removed.end(), tokens.begin(), tokens.end());
    offsets.push_back(removed.size());
  }
  // Each is its own scale: nothing else has their dimensions.
  const Dataset positions = group.write<std::int32_t>(schema::kRemoved, removed, {removed.size()});
  positions.write_attribute(schema::kUnits, "token position");
  positions.make_scale(schema::kRemoved);
  const Dataset begins =
      group.write<std::uint64_t>(schema::kRemovedOffset, offsets, {offsets.size()});
  begins.write_attribute(schema::kUnits, "index of removed");
  begins.make_scale(schema::kRemovedOffset);
}

/// The slots that left, of the subjects that are not the same in every layer and KV head.
void write_evicted(const Group& group, const DocumentRun& document, const RunModel& model) {
  std::vector<std::int32_t> which;
  std::vector<std::uint8_t> evicted;
  for (std::size_t s = 0; s < document.influence.subjects.size(); ++s) {
    const std::vector<std::uint8_t>& one = document.influence.subjects[s].evicted;
    if (one.empty()) continue;
    which.push_back(static_cast<std::int32_t>(s));
    evicted.insert(evicted.end(), one.begin(), one.end());
  }
  if (which.empty()) return;
  const auto n_layers = static_cast<std::size_t>(model.n_layers);
  const auto n_heads = static_cast<std::size_t>(model.n_kv_heads);
  const auto n_tokens = static_cast<std::size_t>(document.context_tokens);
  const Dataset subjects =
      group.write<std::int32_t>(schema::kEvictedSubject, which, {which.size()});
  subjects.write_attribute(schema::kUnits, "index of subject");
  subjects.make_scale(schema::kEvictedSubject);
  const Dataset layers = write_scale(group, schema::kLayer, n_layers);
  const Dataset heads = write_scale(group, schema::kKvHead, n_heads);
  const Dataset positions = write_scale(group, schema::kPosition, n_tokens);
  write_array(group, schema::kEvicted, evicted,
              {{subjects, schema::kEvictedSubject, which.size()},
               {layers, "layer", n_layers},
               {heads, "kv_head", n_heads},
               {positions, "token", n_tokens}},
              "1: evicted");
}

/// Leaves the datasets out where the model has no experts.
void write_rerouted(const Group& group, const RunInfluence& influence, const RunModel& model,
                    const Axis& subject) {
  if (influence.rerouted.empty()) return;
  const auto n_layers = static_cast<std::size_t>(model.n_layers);
  const Dataset layers = group.has(schema::kLayer) ? group.dataset(schema::kLayer)
                                                   : write_scale(group, schema::kLayer, n_layers);
  write_array(group, schema::kRerouted, influence.rerouted, {subject, {layers, "layer", n_layers}},
              "share of positions");
}

/// Leaves the datasets out where no subject is a sentence.
void write_by_sentence(const Group& group, const DocumentRun& document, const Axis& subject) {
  const std::vector<double> kl = kl_by_sentence(document);
  if (kl.empty()) return;
  const std::size_t n_sentences = kl.size() / subject.extent;
  const Dataset sentences = write_scale(group, schema::kSentence, n_sentences);
  write_array(group, schema::kBySentence, kl, {subject, {sentences, "sentence", n_sentences}},
              schema::kNats);
}

void write_influence(const Group& group, const DocumentRun& document, const RunModel& model,
                     Content content) {
  const RunInfluence& influence = document.influence;
  const std::size_t n_subjects = influence.subjects.size();
  const std::size_t horizon = influence.noise_floor.size();
  std::vector<std::int32_t> spans;
  std::vector<std::string> labels;
  std::vector<std::string> groups;
  for (const RunSubject& subject : influence.subjects) {
    spans.insert(spans.end(), {subject.begin, subject.end});
    labels.push_back(subject.label);
    groups.push_back(subject.group);
  }
  const Dataset label = write_display_texts(group, schema::kLabel, labels);
  label.make_scale(schema::kLabel);
  const Dataset offsets = write_scale(group, schema::kOffset, horizon);
  const Axis subject{label, "subject", n_subjects};
  const Axis offset{offsets, "offset", horizon};

  write_ranges(group, schema::kSubject, spans, subject);
  write_display_texts(group, schema::kGroup, groups).attach_scale(0, label, subject.label);
  write_array(group, schema::kStart, influence.start, {subject}, "token position");
  if (content == Content::whole) {
    write_array(group, schema::kKl, influence.kl, {subject, offset}, schema::kNats);
    write_by_sentence(group, document, subject);
  }
  write_array(group, schema::kNoiseFloor, influence.noise_floor, {offset}, schema::kNats);

  const bool has_sets = std::any_of(influence.subjects.begin(), influence.subjects.end(),
                                    [](const RunSubject& one) { return one.is_set(); });
  if (has_sets) write_removed(group, influence.subjects);
  write_evicted(group, document, model);
  if (content == Content::whole) write_rerouted(group, influence, model, subject);
  group.write_attribute(schema::kSubjectKind,
                        has_sets ? schema::kSubjectKindSet : schema::kSubjectKindSpan);
  group.write_attribute(schema::kSelection, influence.selection);
  group.write_attribute(schema::kEvictAt, influence.evict_at);
  group.write_attribute(schema::kLag, influence.lag);
  group.write_attribute(schema::kEvictedLayers, influence.layers);
  group.write_attribute(schema::kEvictedHeads, influence.heads);
  group.write_attribute(schema::kMethod, influence.method);
  group.write_attribute(schema::kPrecision, influence.precision);
  group.write_attribute(schema::kSeed, influence.seed);
}

/// Leaves the datasets out where no projections were asked for.
void write_projections(const Group& group, const RunSketch& sketch, const Axis& bin,
                       const Axis& layer, const Axis& head, const Axis& token) {
  if (sketch.projections.empty()) return;
  const auto n_probes = static_cast<std::size_t>(sketch.probes);
  const Dataset probes = write_scale(group, schema::kProbe, n_probes);
  write_array(group, schema::kProjections, sketch.projections,
              {bin, {probes, "probe", n_probes}, layer, head, token}, schema::kRootNats);
}

void write_sketch(const Group& group, const DocumentRun& document, const RunModel& model) {
  const RunSketch& sketch = *document.sketch;
  const auto n_tokens = static_cast<std::size_t>(document.context_tokens);
  const auto n_layers = static_cast<std::size_t>(model.n_layers);
  const auto n_heads = static_cast<std::size_t>(model.n_kv_heads);
  const Dataset bins = write_scale(group, schema::kBin, sketch.bins.size());
  const Dataset positions = write_scale(group, schema::kPosition, n_tokens);
  const Axis bin{bins, "bin", sketch.bins.size()};
  const Axis token{positions, "token", n_tokens};
  std::vector<std::int32_t> offsets;
  for (const auto& [begin, end] : sketch.bins) offsets.insert(offsets.end(), {begin, end});
  write_ranges(group, schema::kBins, offsets, bin)
      .write_attribute(schema::kUnits, "tokens from the context's end");
  write_array(group, schema::kSketchFi, sketch.fi, {bin, token}, schema::kNats);
  write_array(group, schema::kStandardError, sketch.standard_error, {bin, token}, schema::kNats);
  if (sketch.detail != schema::kDetailToken) {
    const Dataset layers = write_scale(group, schema::kLayer, n_layers);
    const Axis layer{layers, "layer", n_layers};
    if (sketch.detail == schema::kDetailLayer) {
      write_array(group, schema::kFiByLayer, sketch.fi_parts, {bin, layer, token}, schema::kNats);
    } else {
      const Dataset heads = write_scale(group, schema::kKvHead, n_heads);
      const Axis head{heads, "kv_head", n_heads};
      write_array(group, schema::kFiByHead, sketch.fi_parts, {bin, layer, head, token},
                  schema::kNats);
      write_projections(group, sketch, bin, layer, head, token);
    }
  }
  group.write_attribute(schema::kDetail, sketch.detail);
  group.write_attribute(schema::kProbeKind, sketch.probe_kind);
  group.write_attribute(schema::kProbes, sketch.probes);
  group.write_attribute(schema::kSeed, sketch.seed);
}

}  // namespace

void write_document(const Group& group, const DocumentRun& document, const RunModel& model,
                    Content content) {
  const bool measures_others =
      document.sketch || !document.retention.empty() || content == Content::pass;
  const bool has_influence = !document.influence.subjects.empty() || !measures_others;
  if (has_influence) check_influence(document);
  if (document.sketch) check_sketch(document);
  check_retention(document);
  group.write_attribute(schema::kSourceSha256, document.source_sha256);
  group.write_attribute(schema::kContextTokens, document.context_tokens);
  group.write_attribute(schema::kFutureTokens, document.future_tokens);
  group.write_attribute(schema::kComplete, std::int64_t{document.complete});
  write_tokens(group.create_group(schema::kTokens), document.tokens);
  write_signals(group.create_group(schema::kSignals), document.signals, model,
                document.tokens.id.size());
  if (has_influence) {
    write_influence(group.create_group(schema::kInfluence), document, model, content);
  }
  if (document.sketch) write_sketch(group.create_group(schema::kSketch), document, model);
  if (!document.retention.empty()) {
    write_retention(group.create_group(schema::kRetention), document, model);
  }
}

void write_model(const Group& group, const RunModel& model) {
  group.write_attribute(schema::kModelName, model.name);
  group.write_attribute(schema::kArchitecture, model.architecture);
  group.write_attribute(schema::kLayers, model.n_layers);
  group.write_attribute(schema::kHeads, model.n_heads);
  group.write_attribute(schema::kKvHeads, model.n_kv_heads);
  group.write_attribute(schema::kHeadDim, model.head_dim);
  group.write_attribute(schema::kHiddenSize, model.hidden_size);
  group.write_attribute(schema::kVocabSize, model.vocab_size);
  group.write_attribute(schema::kWeightsSha256, model.weights_sha256);
  if (!model.windows.empty()) {
    group.write<std::int32_t>(schema::kWindows, model.windows, {model.windows.size()});
  }
}

void verify(const std::filesystem::path& path) { hdf5::ReadOnlyFile(path).root().read_all(); }

RunWriter::RunWriter(const std::filesystem::path& path, const RunFile& run)
    : path_(path), model_(run.model), file_(std::make_unique<BytesOnDisk>(path)) {
  const Group root = file_.root();
  root.write_attribute(schema::kFormatName, schema::kFormat);
  root.write_attribute(schema::kFormatVersionName, schema::kFormatVersion);
  root.write_attribute(schema::kToolVersion, run.tool_version);
  root.write_attribute(schema::kConfiguration, run.configuration);
  root.write_attribute(schema::kConfigurationHash, run.configuration_hash);
  write_model(root.create_group(schema::kModel), run.model);
  root.create_group(schema::kDocuments);
}

void RunWriter::add(const DocumentRun& document) {
  check_name(document.name, names_);
  const Group documents = file_.root().group(schema::kDocuments);
  write_document(documents.create_group(document.name), document, model_, Content::whole);
  file_.check();
}

void RunWriter::publish() {
  if (names_.empty()) refuse("expected at least one document, found none");
  longshadow::publish(path_, file_.finish(), verify);
}

void write_run(const std::filesystem::path& path, const RunFile& run) {
  RunWriter writer(path, run);
  for (const DocumentRun& document : run.documents) writer.add(document);
  writer.publish();
}

}  // namespace longshadow
