#include "probes/subjects/subjects.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <span>
#include <utility>
#include <variant>

#include "data/format/schema.h"
#include "data/format/token_signals.h"
#include "engine/core/error.h"
#include "engine/text/number_list.h"
#include "probes/documents/words.h"

namespace longshadow {
namespace {

/// Tokens that top: and each: may take: those from n_sinks on, but for the newest.
std::size_t n_candidates(const SubjectRules& rules) {
  const std::size_t no_sinks = rules.context - std::min(rules.context, rules.n_sinks);
  return no_sinks - std::min(no_sinks, rules.n_recent);
}

std::vector<Range> as_ranges(const std::vector<std::size_t>& tokens) {
  std::vector<Range> ranges;
  for (const std::size_t token : tokens) ranges.push_back({token, token + 1});
  return joined(std::move(ranges));
}

/// Tokens that may be taken, in the order of their values; one without a value, which only the
/// first can be, comes last.
std::vector<std::size_t> ranking(const std::vector<double>& signal, bool lowest_first,
                                 const SubjectRules& rules) {
  std::vector<std::size_t> tokens(n_candidates(rules));
  std::iota(tokens.begin(), tokens.end(), rules.n_sinks);
  std::stable_sort(tokens.begin(), tokens.end(), [&](std::size_t a, std::size_t b) {
    if (std::isnan(signal[a]) || std::isnan(signal[b]))
      return std::isnan(signal[a]) < std::isnan(signal[b]);
    return lowest_first ? signal[a] < signal[b] : signal[a] > signal[b];
  });
  return tokens;
}

/// Chooses the subjects of one part of a selection after the other.
class SubjectChooser {
 public:
  SubjectChooser(const Document& document, const SubjectRules& rules)
      : document_(document), rules_(rules), random_(rules.seed) {}

  void add(const SelectionPart& part) {
    text_ = part.text;
    std::visit([&](const auto& what) { choose(what); }, part.what);
  }
  std::vector<Subject> take() { return std::move(subjects_); }

 private:
  void choose(const EveryToken&) {
    for (std::size_t token = 0; token < rules_.context; ++token) {
      subjects_.push_back({{{token, token + 1}}, "all"});
    }
  }

  void choose(const SampledTokens& sample) {
    check_count(sample.count, rules_.context, "tokens");
    for (const std::size_t token : draw(sample.count, rules_.context, random_)) {
      subjects_.push_back({{{token, token + 1}}, "sample"});
    }
  }

  void choose(const ListedTokens& list) {
    check_tokens(list.ranges);
    for (const Range& range : list.ranges) subjects_.push_back({{range}, "list"});
  }

  void choose(const TokenSet& set) {
    check_tokens(set.ranges);
    subjects_.push_back({joined(set.ranges), "set"});
  }

  void choose(const SampledWords& sample) {
    std::vector<Range> words = tokens_within(find_words(document_.text), document_.tokens);
    std::erase_if(words,
                  [&](const Range& word) { return word.size() == 0 || word.end > rules_.context; });
    check_count(sample.count, words.size(), "words");
    for (const Range& word : drawn(words, sample.count)) subjects_.push_back({{word}, "word"});
  }

  void choose(const Sentences& wanted) {
    if (document_.sentences.empty()) {
      throw UsageError(where() + " needs to know where sentences end; expected `pos` auto or a " +
                       "CoNLL-U file, found `pos` none");
    }
    std::vector<Range> sentences = document_.sentences;
    std::erase_if(sentences, [&](const Range& sentence) { return sentence.end > rules_.context; });
    if (sentences.empty()) {
      throw UsageError(
          document_.name + ", " + where() + ": expected a sentence that ends within " +
          "the context's " + std::to_string(rules_.context) + " tokens, but the first one has " +
          std::to_string(document_.sentences.front().size()) + "; a longer `context` may hold it");
    }
    if (wanted.count) {
      check_count(*wanted.count, sentences.size(), "whole sentences");
      sentences = drawn(sentences, *wanted.count);
    }
    for (const Range& sentence : sentences) {
      subjects_.push_back({{sentence}, schema::kSentenceGroup});
    }
  }

  void choose(const TopShare& top) {
    const std::size_t n_tokens = tokens_of(top);
    require_end();
    Subject subject{{}, text_};
    if (top.ranking) {
      subject.ranked = {*top.ranking, {0, n_tokens}};
    } else {
      subject.tokens = as_ranges(draw_candidates(n_tokens));
    }
    subjects_.push_back(std::move(subject));
  }

  void choose(const EachOfTop& each) {
    check_count(each.count, n_candidates(rules_), "tokens between `sinks` and `recent`");
    if (!each.ranking) {
      for (const std::size_t token : draw_candidates(each.count)) {
        subjects_.push_back({{{token, token + 1}}, text_});
      }
      return;
    }
    for (std::size_t rank = 0; rank < each.count; ++rank) {
      subjects_.push_back({{}, text_, RankedTokens{*each.ranking, {rank, rank + 1}}});
    }
  }

  void choose(const PolicyCut& cut) {
    require_end();
    Subject& subject = subjects_.emplace_back();
    subject.group = text_;
    subject.policy = cut;
  }

  std::string where() const { return "`subjects` \"" + text_ + "\""; }

  void check_tokens(std::span<const Range> ranges) const {
    try {
      check_ranges(ranges, {"token", "context", rules_.context});
    } catch (const UsageError& error) {
      throw UsageError(where() + ": " + error.what());
    }
  }

  void check_count(std::size_t count, std::size_t most, const char* of_what) const {
    if (count != 0 && count <= most) return;
    throw UsageError(where() + ": expected between 1 and " + std::to_string(most) +
                     ", as many as the context has " + of_what + ", found " +
                     std::to_string(count));
  }

  void require_end() const {
    if (rules_.evict_at.kind == EvictAt::Kind::end) return;
    throw UsageError(where() + " chooses tokens by what is known when the context ends; it needs " +
                     "`evict_at` end");
  }

  /// How many tokens a share of the context is.
  std::size_t tokens_of(const TopShare& top) const {
    const double wanted = std::round(top.percent / 100 * static_cast<double>(rules_.context));
    const auto n_tokens = static_cast<std::size_t>(std::max(1.0, wanted));
    if (n_tokens > n_candidates(rules_)) {
      throw UsageError(where() + " would remove " + std::to_string(n_tokens) +
                       " of the context's " + std::to_string(rules_.context) +
                       " tokens, but `sinks` " + std::to_string(rules_.n_sinks) + " and `recent` " +
                       std::to_string(rules_.n_recent) + " leave " +
                       std::to_string(n_candidates(rules_)));
    }
    return n_tokens;
  }

  /// Draws `count` of the ranges, in their order.
  std::vector<Range> drawn(const std::vector<Range>& ranges, std::size_t count) {
    std::vector<Range> some;
    for (const std::size_t index : draw(count, ranges.size(), random_)) {
      some.push_back(ranges[index]);
    }
    return some;
  }

  std::vector<std::size_t> draw_candidates(std::size_t count) {
    std::vector<std::size_t> tokens = draw(count, n_candidates(rules_), random_);
    for (std::size_t& token : tokens) token += rules_.n_sinks;
    return tokens;
  }

  const Document& document_;
  const SubjectRules& rules_;
  std::mt19937_64 random_;
  std::string text_;  ///< of the part in hand
  std::vector<Subject> subjects_;
};

}  // namespace

std::vector<std::size_t> draw(std::size_t count, std::size_t population, std::mt19937_64& random) {
  // Without the standard distributions, whose results differ between libraries.
  std::vector<std::size_t> indices(population);
  std::iota(indices.begin(), indices.end(), std::size_t{0});
  for (std::size_t first = 0, left = population; first < count && left > 0; ++first, --left) {
    // The bias of the remainder is below population / 2^64.
    std::swap(indices[first], indices[first + random() % left]);
  }
  indices.resize(count);
  std::sort(indices.begin(), indices.end());
  return indices;
}

Range span_of(const Subject& subject) {
  return {subject.tokens.front().begin, subject.tokens.back().end};
}

std::vector<Subject> choose_subjects(const Selection& selection, const Document& document,
                                     const SubjectRules& rules) {
  SubjectChooser chooser(document, rules);
  for (const SelectionPart& part : selection.parts) chooser.add(part);
  return chooser.take();
}

void resolve_ranks(std::vector<Subject>& subjects, const RunSignals& signals,
                   const SubjectRules& rules) {
  const auto values = token_signals(signals);
  for (Subject& subject : subjects) {
    if (!subject.ranked) continue;
    const RankedTokens& wanted = *subject.ranked;
    const std::vector<std::size_t> order =
        ranking(values[wanted.by.signal], wanted.by.lowest_first, rules);
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(wanted.ranks.begin);
    subject.tokens = as_ranges({first, first + static_cast<std::ptrdiff_t>(wanted.ranks.size())});
    subject.ranked.reset();
  }
}

}  // namespace longshadow
