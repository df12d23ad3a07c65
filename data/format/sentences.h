#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/format/run_file.h"

namespace longshadow {

// How much a subject moves each sentence of the text. Thought Anchors (Bogdan et al., 2025,
// arXiv:2506.19143) asks this of reasoning traces and masks attention to a sentence; here the
// sentence is gone from the cache.

/// Whether these are the sentences of tokens: the first 0, each as before or the next.
bool counts_sentences(std::span<const std::int32_t> sentences);

/// Where each sentence begins, and behind these n: [N + 1]. Empty where the tokens have no
/// sentences.
std::vector<std::int32_t> sentence_bounds(const RunTokens& tokens);

/// Sentences one after the other, and means over the positions of each.
struct SentenceInfluence {
  std::size_t first = 0;           ///< of them
  std::vector<double> kl_nats;     ///< influence; NaN where a position is not measured
  std::vector<double> floor_nats;  ///< noise floor: an influence at or under it is no measurement
};

/// The sentences that lie within the horizon of subject s, whole. `bounds` are the document's.
SentenceInfluence influence_on_sentences(const RunInfluence& influence, std::size_t s,
                                         std::span<const std::int32_t> bounds);

/// A larger matrix is not made: influence_on_sentences() gives its rows.
inline constexpr std::size_t kMostSentenceCells = std::size_t{1} << 24;

/// [S, N] nats: the mean of subject s's influence over the positions of sentence n, NaN unless all
/// of them are measured. Empty where no subject is in the group schema::kSentenceGroup, the tokens
/// have no sentences, or it would have more than kMostSentenceCells.
std::vector<double> kl_by_sentence(const DocumentRun& document);

}  // namespace longshadow
