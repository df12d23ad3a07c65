#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

namespace longshadow {

// What a run file holds, in memory: run_writer takes it and the analysis reader gives it back.
// Arrays are row-major. Dimension letters:
//   n tokens, L layers, K key-value heads, S subjects, T context tokens, H horizon (measured future
//   positions).
// data/FORMAT.md says what each of them means and where it is in the file.

struct RunModel {
  std::string name;
  std::string architecture;
  std::int64_t n_layers = 0;
  std::int64_t n_heads = 0;
  std::int64_t n_kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t hidden_size = 0;
  std::int64_t vocab_size = 0;
  std::string weights_sha256;
  /// [L], the tokens that a layer's attention looks back over, its own included; 0: all. Empty: no
  /// layer has a window.
  std::vector<std::int32_t> windows{};

  /// Whether policies chose slots in this layer for a text of so many tokens, context and future
  /// together: they leave alone what sees a window.
  bool is_compressed(std::size_t layer, std::int64_t tokens) const {
    return windows.empty() || windows[layer] == 0 || windows[layer] >= tokens;
  }
};

struct RunTokens {
  std::vector<std::int32_t> id;                     // [n]
  std::vector<std::string> text;                    // [n], for display; any bytes
  std::vector<std::array<std::uint64_t, 2>> bytes;  // [n] begin, end in the source
  std::vector<std::uint8_t> upos;                   // [n] schema::kUniversalTags; may be empty
  std::vector<std::int32_t> word;                   // [n] which word of the text; empty as upos is
  std::vector<std::int32_t> sentence;  // [n] which sentence, from 0 and each one's behind the last
                                       // one's; may be empty
};

struct RunSignals {
  std::vector<float> entropy;               // [n] nats, of the distribution that token i predicts
  std::vector<float> entropy_topk;          // [n] nats, the same over its k likeliest entries
  std::int64_t entropy_k = 0;               // k
  std::vector<float> surprisal;             // [n] nats, NaN for the first token
  std::vector<float> drift;                 // [L, n] 1 - cosine
  std::vector<float> attention_window;      // [L, K, n] attention weight, 0 outside the context
  std::vector<float> attention_cumulative;  // [L, K, n] attention weight, 0 outside the context
};

/// The tokens that one counterfactual removed: all of [begin, end), or a set.
struct RunSubject {
  std::int32_t begin = 0;
  std::int32_t end = 0;
  std::string label;  ///< the removed text, for display; any bytes
  std::string group;  ///< which part of the selection chose it, for example "sample"
  std::vector<std::int32_t> removed{};  ///< of a set with gaps its tokens, sorted; else empty
  /// [L, K, T] 1 where a slot left, where layers and heads lost different ones, as by an eviction
  /// policy; a token is then removed that left any of them. Else empty.
  std::vector<std::uint8_t> evicted{};

  bool is_set() const { return !removed.empty() || !evicted.empty(); }

  /// All that was removed, sorted.
  std::vector<std::int32_t> tokens() const {
    if (!removed.empty()) return removed;
    std::vector<std::int32_t> span(static_cast<std::size_t>(end - begin));
    std::iota(span.begin(), span.end(), begin);
    return span;
  }
};

struct RunInfluence {
  std::vector<RunSubject> subjects;  // [S]
  std::vector<std::int32_t> start;   // [S] the first position that no longer sees the subject
  std::vector<double> kl;            // [S, H] nats at position start + h; NaN where not measured
  /// [S, L] of a model with experts: the share of the subject's H positions that go to other
  /// experts of the layer than in the full pass; NaN where not measured. Else empty.
  std::vector<float> rerouted;
  std::vector<double> noise_floor;  // [H] nats, the largest |KL| of the null counterfactuals

  std::string selection;       ///< what chose the subjects, as asked for: "sample:64"
  std::string evict_at;        ///< "end" or "lag"
  std::int64_t lag = 0;        ///< W of lag:W, 0 for "end"
  std::string layers = "all";  ///< that the subjects left: "all", or as in "0-5,12"
  std::string heads = "all";   ///< key-value heads that they left in those layers
  std::string method;          ///< "direct", "differential", ...
  std::string precision;       ///< "f64", "f32", ...
  std::uint64_t seed = 0;      ///< of every random choice of the run
};

/// An estimate of every context token's influence where tokens leave at the context's end T, to
/// second order; B bins.
struct RunSketch {
  std::vector<std::array<std::int32_t, 2>> bins;  // [B] begin, end of offsets j - T
  std::vector<float> fi;                          // [B, T] nats, mean over the bin's positions
  std::vector<float> standard_error;              // [B, T] nats, of fi over the probes
  std::vector<float> fi_parts;  // the same by layer [B, L, T] or KV head [B, L, K, T], or empty

  /// [B, P, L, K, T] sqrt(nats), or empty: of each bin's logits along each probe's direction, the
  /// derivative by the gate of a layer, KV head and token.
  std::vector<float> projections{};

  std::string detail;       ///< "token", "layer" or "head": what fi_parts is by
  std::string probe_kind;   ///< "signs" or "sampled"
  std::int64_t probes = 0;  ///< random directions a bin
  std::uint64_t seed = 0;   ///< of the directions
};

/// What one eviction policy kept of the context's cache at a budget, and how much the future
/// suffers where every position from T on runs on what is left.
struct RunRetention {
  std::string policy;  ///< as asked for: "snapkv", "adakv:alpha=0.1/tova"
  std::string budget;  ///< as asked for, the share of the slots to keep: "0.4"

  std::vector<std::uint8_t> kept;  // [L, K, T] 1 where the slot stays, else 0
  std::vector<double> kl;          // [H] nats, KL(full || compressed) at position T + h
  std::vector<std::uint8_t> top1;  // [H] 1 where both have the same likeliest next token, else 0
  std::vector<float> surprisal;    // [H] nats, of token T + h + 1; NaN where the text has ended

  std::int64_t bytes_kept = 0;  ///< of the context's keys and values that stay
  std::int64_t bytes_full = 0;  ///< of all of them
  std::int64_t kv_bits = 0;     ///< stored for each of their elements: 64, 32, 16, 8 or 4
  std::uint64_t seed = 0;       ///< of the policy's random choices

  /// "adakv/tova@0.4"
  std::string name() const { return policy + "@" + budget; }
  /// The same as a group of the file is called: "adakv+tova@0.4", because a '/' would be a path.
  std::string link_name() const {
    std::string link = name();
    std::replace(link.begin(), link.end(), '/', '+');
    return link;
  }
};

struct DocumentRun {
  std::string name;  ///< a link's name: not empty, no '/', no control characters
  std::string source_sha256;
  std::int64_t context_tokens = 0;  ///< T
  std::int64_t future_tokens = 0;
  bool complete = true;  ///< every subject that was asked for is measured
  RunTokens tokens;
  RunSignals signals;
  RunInfluence influence;               ///< no subjects where nothing but what follows is measured
  std::optional<RunSketch> sketch;      ///< where one was asked for
  std::vector<RunRetention> retention;  ///< of every policy at every budget
};

struct RunFile {
  std::string tool_version;
  std::string configuration;       ///< the command's options, as JSON
  std::string configuration_hash;  ///< SHA-256 of `configuration`, hexadecimal
  RunModel model;
  std::vector<DocumentRun> documents;
};

}  // namespace longshadow
