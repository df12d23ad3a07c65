#include "data/format/sentences.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "data/format/schema.h"

namespace longshadow {

namespace {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

bool counts_sentences(std::span<const std::int32_t> sentences) {
  if (!sentences.empty() && sentences.front() != 0) return false;
  const auto breaks = [](std::int32_t a, std::int32_t b) { return b != a && b != a + 1; };
  return std::adjacent_find(sentences.begin(), sentences.end(), breaks) == sentences.end();
}

std::vector<std::int32_t> sentence_bounds(const RunTokens& tokens) {
  std::vector<std::int32_t> bounds;
  const std::vector<std::int32_t>& sentence = tokens.sentence;
  if (sentence.empty()) return bounds;
  for (std::size_t i = 0; i < sentence.size(); ++i) {
    if (i == 0 || sentence[i] != sentence[i - 1]) bounds.push_back(static_cast<std::int32_t>(i));
  }
  bounds.push_back(static_cast<std::int32_t>(sentence.size()));
  return bounds;
}

SentenceInfluence influence_on_sentences(const RunInfluence& influence, std::size_t s,
                                         std::span<const std::int32_t> bounds) {
  const std::size_t horizon = influence.noise_floor.size();
  const std::int32_t start = influence.start[s];
  const std::int32_t end = start + static_cast<std::int32_t>(horizon);
  const std::span row = std::span(influence.kl).subspan(s * horizon, horizon);
  const std::span floor(influence.noise_floor);
  const auto first = std::lower_bound(bounds.begin(), bounds.end(), start);
  SentenceInfluence found{static_cast<std::size_t>(first - bounds.begin()), {}, {}};
  for (auto begin = first; begin != bounds.end() && begin + 1 != bounds.end(); ++begin) {
    if (begin[1] > end) break;
    const auto offset = static_cast<std::size_t>(begin[0] - start);
    const auto length = static_cast<std::size_t>(begin[1] - begin[0]);
    found.kl_nats.push_back(mean(row.subspan(offset, length)));
    found.floor_nats.push_back(mean(floor.subspan(offset, length)));
  }
  return found;
}

std::vector<double> kl_by_sentence(const DocumentRun& document) {
  const RunInfluence& influence = document.influence;
  const std::vector<std::int32_t> bounds = sentence_bounds(document.tokens);
  const bool has_sentences =
      !bounds.empty() && std::any_of(influence.subjects.begin(), influence.subjects.end(),
                                     [](const RunSubject& subject) {
                                       return subject.group == schema::kSentenceGroup;
                                     });
  if (!has_sentences) return {};
  const std::size_t n_subjects = influence.subjects.size();
  const std::size_t n_sentences = bounds.size() - 1;
  if (n_subjects > kMostSentenceCells / n_sentences) return {};
  std::vector<double> cells(n_subjects * n_sentences, std::numeric_limits<double>::quiet_NaN());
  for (std::size_t s = 0; s < n_subjects; ++s) {
    const SentenceInfluence row = influence_on_sentences(influence, s, bounds);
    std::copy(row.kl_nats.begin(), row.kl_nats.end(),
              cells.begin() + static_cast<std::ptrdiff_t>(s * n_sentences + row.first));
  }
  return cells;
}

}  // namespace longshadow
