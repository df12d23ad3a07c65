#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/range.h"
#include "probes/counterfactual.h"

namespace longshadow {

/// The tokens that one counterfactual removes, and which part of the selection chose them.
struct Subject {
  Range tokens;
  std::string group;
};

/// Reads `--subjects` for a context of `context` tokens:
///   all            every token, one at a time
///   sample:N       N tokens drawn without replacement, with `seed`, in order of position
///   list:3,7-9     token 3, and tokens 7, 8 and 9 together
/// Throws UsageError where the text is none of these or names a token outside the context.
std::vector<Subject> parse_subjects(const std::string& text, std::size_t context,
                                    std::uint64_t seed);

/// When the subject leaves the cache.
struct EvictAt {
  enum class Kind { end, lag } kind = Kind::lag;
  std::size_t lag = 16;  ///< W: a subject ending at token i is gone from i + W + 1 on
};

/// Reads `--evict-at`: "end" or "lag:W". Throws UsageError.
EvictAt parse_evict_at(const std::string& text);

/// The first position that no longer sees the subject.
std::size_t start_of(const EvictAt& evict_at, const Range& subject, std::size_t context);

/// Tokens of the document that a probe needs: the context and the positions measured after it.
std::size_t tokens_needed(const EvictAt& evict_at, std::size_t context, std::size_t horizon);

}  // namespace longshadow
