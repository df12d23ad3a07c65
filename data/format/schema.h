#pragma once

#include <array>
#include <cstdint>

/// The names in a run file, each spelled once. data/FORMAT.md is the same list for people.
namespace longshadow::schema {

inline constexpr const char* kFormat = "longshadow";
inline constexpr std::int64_t kFormatVersion = 1;

// Groups.
inline constexpr const char* kModel = "model";
inline constexpr const char* kDocuments = "documents";
inline constexpr const char* kTokens = "tokens";
inline constexpr const char* kSignals = "signals";
inline constexpr const char* kInfluence = "influence";

// Attributes of the root.
inline constexpr const char* kFormatName = "format";
inline constexpr const char* kFormatVersionName = "format_version";
inline constexpr const char* kToolVersion = "tool_version";
inline constexpr const char* kConfiguration = "configuration";
inline constexpr const char* kConfigurationHash = "configuration_hash";

// Attributes of /model.
inline constexpr const char* kModelName = "name";
inline constexpr const char* kArchitecture = "architecture";
inline constexpr const char* kLayers = "n_layers";
inline constexpr const char* kHeads = "n_heads";
inline constexpr const char* kKvHeads = "n_kv_heads";
inline constexpr const char* kHeadDim = "head_dim";
inline constexpr const char* kHiddenSize = "hidden_size";
inline constexpr const char* kVocabSize = "vocab_size";
inline constexpr const char* kWeightsSha256 = "weights_sha256";
// A dataset of /model.
inline constexpr const char* kWindows = "windows";

// Attributes of a document.
inline constexpr const char* kSourceSha256 = "source_sha256";
inline constexpr const char* kContextTokens = "context_tokens";
inline constexpr const char* kFutureTokens = "future_tokens";
inline constexpr const char* kComplete = "complete";

// tokens/
inline constexpr const char* kId = "id";
inline constexpr const char* kText = "text";
inline constexpr const char* kBytes = "bytes";
inline constexpr const char* kPosition = "position";
inline constexpr const char* kUpos = "upos";
inline constexpr const char* kWord = "word";
inline constexpr std::int32_t kNoWord = -1;
inline constexpr const char* kSentence = "sentence";

/// The members of the enumeration that tokens/upos has, by value.
inline constexpr std::array<const char*, 18> kUniversalTags = {
    "ADJ",  "ADP",  "ADV",   "AUX",   "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",    "NONE"};
inline constexpr std::uint8_t kNoTag = 17;  // NONE: in no word

// signals/
inline constexpr const char* kEntropy = "entropy";
inline constexpr const char* kEntropyTopK = "entropy_topk";
inline constexpr const char* kEntropyK = "k";  // attribute of entropy_topk
inline constexpr const char* kSurprisal = "surprisal";
inline constexpr const char* kDrift = "drift";
inline constexpr const char* kAttentionWindow = "attention_window";
inline constexpr const char* kAttentionCumulative = "attention_cumulative";
inline constexpr const char* kLayer = "layer";
inline constexpr const char* kKvHead = "kv_head";

// influence/, its datasets and then its attributes
inline constexpr const char* kSubject = "subject";
inline constexpr const char* kRemoved = "removed";
inline constexpr const char* kRemovedOffset = "removed_offset";
inline constexpr const char* kEvicted = "evicted";
inline constexpr const char* kEvictedSubject = "evicted_subject";
inline constexpr const char* kLabel = "label";
inline constexpr const char* kGroup = "group";
inline constexpr const char* kStart = "start";
inline constexpr const char* kKl = "kl";
inline constexpr const char* kRerouted = "rerouted";
inline constexpr const char* kNoiseFloor = "noise_floor";
inline constexpr const char* kBySentence = "by_sentence";
inline constexpr const char* kOffset = "offset";
inline constexpr const char* kSubjectKind = "subject_kind";
inline constexpr const char* kSubjectKindSpan = "span";
inline constexpr const char* kSubjectKindSet = "set";
inline constexpr const char* kSelection = "selection";
inline constexpr const char* kEvictAt = "evict_at";
inline constexpr const char* kEvictAtEnd = "end";
inline constexpr const char* kEvictAtLag = "lag";
inline constexpr const char* kLag = "lag";
inline constexpr const char* kEvictedLayers = "layers";
inline constexpr const char* kEvictedHeads = "heads";
inline constexpr const char* kEverywhere = "all";
inline constexpr const char* kMethod = "method";
inline constexpr const char* kPrecision = "precision";
inline constexpr const char* kSeed = "seed";

// The group of subjects, drawn at random, that a sketch is held to.
inline constexpr const char* kControlGroup = "control";

// The group of subjects that are sentences of the text.
inline constexpr const char* kSentenceGroup = "sentence";

// sketch/, its datasets and then its attributes
inline constexpr const char* kSketch = "sketch";
inline constexpr const char* kBins = "bins";
inline constexpr const char* kSketchFi = "fi";
inline constexpr const char* kStandardError = "standard_error";
inline constexpr const char* kFiByLayer = "fi_layer";
inline constexpr const char* kFiByHead = "fi_head";
inline constexpr const char* kProjections = "g";
inline constexpr const char* kProbe = "probe";
inline constexpr const char* kBin = "bin";
inline constexpr const char* kDetail = "detail";
inline constexpr const char* kDetailToken = "token";
inline constexpr const char* kDetailLayer = "layer";
inline constexpr const char* kDetailHead = "head";
inline constexpr const char* kProbeKind = "probe_kind";
inline constexpr const char* kProbes = "probes";

// retention/POLICY@BUDGET/, its datasets and then its attributes
inline constexpr const char* kRetention = "retention";
inline constexpr const char* kKept = "kept";
inline constexpr const char* kTop1 = "top1";
inline constexpr const char* kPolicy = "policy";
inline constexpr const char* kBudget = "budget";
inline constexpr const char* kBytesKept = "bytes_kept";
inline constexpr const char* kBytesFull = "bytes_full";
inline constexpr const char* kKvBits = "kv_bits";
inline constexpr std::array<std::int64_t, 5> kKvBitsKnown = {4, 8, 16, 32, 64};

// A run directory's files that are not run files (data/format/run_plan.h): the formats of their
// roots, attributes of the plan's root and of its documents, and of a shard's document.
inline constexpr const char* kPlanFormat = "longshadow plan";
inline constexpr const char* kPassFormat = "longshadow pass";
inline constexpr const char* kShardFormat = "longshadow shard";
inline constexpr const char* kUnitName = "unit_name";
inline constexpr const char* kUnitValues = "unit_values";
inline constexpr const char* kShardUnits = "shard_units";
inline constexpr const char* kIndex = "index";
inline constexpr const char* kUnitCount = "n_units";
inline constexpr const char* kFirstUnit = "first_unit";

// The scale of the two columns that spans have, in each group with spans.
inline constexpr const char* kBeginEnd = "begin_end";

// Attribute of every dataset of text, as netCDF's readers call it.
inline constexpr const char* kTextEncoding = "_Encoding";

// Attribute of every dataset that has a unit.
inline constexpr const char* kUnits = "units";
inline constexpr const char* kNats = "nats";
inline constexpr const char* kRootNats = "sqrt(nats)";

}  // namespace longshadow::schema
