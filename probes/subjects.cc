#include "probes/subjects.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string_view>

#include "data/format/token_signals.h"
#include "engine/core/error.h"
#include "probes/number_list.h"
#include "probes/words.h"

namespace longshadow {
namespace {

constexpr const char* kRandom = "random";

/// Tokens that a top: set may take: those from n_sinks on, but for the newest.
std::size_t n_candidates(const SubjectRules& rules) {
  const std::size_t no_sinks = rules.context - std::min(rules.context, rules.n_sinks);
  return no_sinks - std::min(no_sinks, rules.n_recent);
}

std::vector<Range> as_ranges(const std::vector<std::size_t>& tokens) {
  std::vector<Range> ranges;
  for (const std::size_t token : tokens) ranges.push_back({token, token + 1});
  return joined(std::move(ranges));
}

/// Reads the parts of one `--subjects`.
class SubjectParser {
 public:
  SubjectParser(const std::string& text, const Document& document, const SubjectRules& rules)
      : text_(text), document_(document), rules_(rules), random_(rules.seed) {}

  std::vector<Subject> parse() {
    std::string_view rest = text_;
    while (true) {
      const std::size_t plus = rest.find('+');
      parse_part(rest.substr(0, plus));
      if (plus == std::string_view::npos) return std::move(subjects_);
      rest.remove_prefix(plus + 1);
    }
  }

 private:
  void parse_part(std::string_view part) {
    const std::size_t colon = part.find(':');
    const std::string_view kind = part.substr(0, colon);
    const bool has_argument = colon != std::string_view::npos;
    const std::string_view argument = has_argument ? part.substr(colon + 1) : "";
    if (kind == "all" && !has_argument) {
      for (std::size_t token = 0; token < rules_.context; ++token) {
        subjects_.push_back({{{token, token + 1}}, "all"});
      }
    } else if (kind == "sample" && has_argument) {
      add_sample(argument);
    } else if (kind == "list" && has_argument) {
      for (const Range& range : parse_tokens(argument)) subjects_.push_back({{range}, "list"});
    } else if (kind == "set" && has_argument) {
      subjects_.push_back({joined(parse_tokens(argument)), "set"});
    } else if (kind == "word" && has_argument) {
      add_words(argument);
    } else if (kind == "top" && has_argument) {
      add_top_share(part, argument);
    } else {
      throw UsageError("--subjects \"" + text_ + "\": expected all, sample:N, list:3,7-9, " +
                       "set:3,7-9, word:N or top:SIGNAL:5%, or several joined with +, found \"" +
                       std::string(part) + "\"");
    }
  }

  std::vector<Range> parse_tokens(std::string_view list) const {
    return parse_ranges(list, text_, {"token", "context", rules_.context});
  }

  std::size_t parse_count(std::string_view number, std::size_t most, const char* of_what) const {
    const std::size_t count = parse_number(number, text_);
    if (count == 0 || count > most) {
      throw UsageError("\"" + text_ + "\": expected between 1 and " + std::to_string(most) +
                       ", as many as the context has " + of_what + ", found " +
                       std::to_string(count));
    }
    return count;
  }

  void add_sample(std::string_view argument) {
    const std::size_t count = parse_count(argument, rules_.context, "tokens");
    for (const std::size_t token : draw(count, rules_.context, random_)) {
      subjects_.push_back({{{token, token + 1}}, "sample"});
    }
  }

  void add_words(std::string_view argument) {
    std::vector<Range> words = tokens_within(find_words(document_.text), document_.tokens);
    std::erase_if(words,
                  [&](const Range& word) { return word.size() == 0 || word.end > rules_.context; });
    const std::size_t count = parse_count(argument, words.size(), "words");
    for (const std::size_t word : draw(count, words.size(), random_)) {
      subjects_.push_back({{words[word]}, "word"});
    }
  }

  void add_top_share(std::string_view part, std::string_view argument) {
    const std::size_t colon = argument.find(':');
    const std::string_view signal = argument.substr(0, colon);
    std::optional<std::size_t> ranked_by;
    if (signal != kRandom) ranked_by = parse_signal(signal);
    const std::size_t n_tokens =
        parse_share(part, colon == std::string_view::npos ? "" : argument.substr(colon + 1));
    if (rules_.evict_at.kind != EvictAt::Kind::end) {
      throw UsageError("--subjects \"" + std::string(part) + "\" ranks tokens by what is known " +
                       "when the context ends; it needs --evict-at end");
    }
    const std::string group(part);
    if (ranked_by) {
      subjects_.push_back({{}, group, TopShare{*ranked_by, n_tokens}});
      return;
    }
    std::vector<std::size_t> tokens = draw(n_tokens, n_candidates(rules_), random_);
    for (std::size_t& token : tokens) token += rules_.n_sinks;
    subjects_.push_back({as_ranges(tokens), group});
  }

  std::size_t parse_signal(std::string_view name) const {
    std::string names;
    for (std::size_t k = 0; k < kSignals.size(); ++k) {
      if (name == kSignals[k].name) return k;
      names += kSignals[k].name + std::string(", ");
    }
    throw UsageError("\"" + text_ + "\": expected a signal of " + names + "or " + kRandom +
                     ", found \"" + std::string(name) + "\"");
  }

  /// Tokens of a share such as "5%".
  std::size_t parse_share(std::string_view part, std::string_view share) const {
    const std::optional<double> percent = percentage(share);
    if (!percent) {
      throw UsageError("\"" + text_ + "\": expected top:SIGNAL:SHARE with a share above 0% and " +
                       "at most 100%, as in top:entropy-before:5%, found \"" + std::string(part) +
                       "\"");
    }
    const double wanted = std::round(*percent / 100 * static_cast<double>(rules_.context));
    const auto n_tokens = static_cast<std::size_t>(std::max(1.0, wanted));
    if (n_tokens > n_candidates(rules_)) {
      throw UsageError("\"" + std::string(part) + "\" would remove " + std::to_string(n_tokens) +
                       " of the context's " + std::to_string(rules_.context) +
                       " tokens, but --sinks " + std::to_string(rules_.n_sinks) + " and --recent " +
                       std::to_string(rules_.n_recent) + " leave " +
                       std::to_string(n_candidates(rules_)));
    }
    return n_tokens;
  }

  const std::string& text_;
  const Document& document_;
  const SubjectRules& rules_;
  std::mt19937_64 random_;
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

std::vector<Subject> parse_subjects(const std::string& text, const Document& document,
                                    const SubjectRules& rules) {
  return SubjectParser(text, document, rules).parse();
}

void resolve_top_shares(std::vector<Subject>& subjects, const RunSignals& signals,
                        const SubjectRules& rules) {
  const auto values = token_signals(signals);
  for (Subject& subject : subjects) {
    if (!subject.top) continue;
    const std::vector<double>& signal = values[subject.top->signal];
    std::vector<std::size_t> ranked(n_candidates(rules));
    std::iota(ranked.begin(), ranked.end(), rules.n_sinks);
    // A token without a value, which only the first can be, comes last.
    std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
      return signal[a] > signal[b] || (std::isnan(signal[b]) && !std::isnan(signal[a]));
    });
    ranked.resize(subject.top->n_tokens);
    subject.tokens = as_ranges(ranked);
    subject.top.reset();
  }
}

}  // namespace longshadow
