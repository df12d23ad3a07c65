#include "probes/subjects.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <string_view>

#include "data/format/schema.h"
#include "data/format/token_signals.h"
#include "engine/core/error.h"
#include "engine/policy/registry.h"
#include "probes/number_list.h"
#include "probes/policy_choice.h"
#include "probes/words.h"

namespace longshadow {
namespace {

constexpr const char* kRandom = "random";

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

/// What the plus signs of `--subjects` part.
std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t plus = text.find('+');
    parts.push_back(text.substr(0, plus));
    if (plus == std::string_view::npos) return parts;
    text.remove_prefix(plus + 1);
  }
}

/// Reads "policy:P@B". Throws UsageError where there is no P, no B, or a B that is no share.
PolicyCut parse_policy_cut(std::string_view part) {
  const std::string option = "--subjects \"" + std::string(part) + "\"";
  const std::string_view argument = part.substr(part.find(':') + 1);
  const std::size_t at = argument.rfind('@');
  if (at == std::string_view::npos || at == 0) {
    throw UsageError(option + ": expected policy:POLICY@SHARE, as in policy:snapkv@0.2");
  }
  return {std::string(argument.substr(0, at)),
          parse_budget(std::string(argument.substr(at + 1)), option)};
}

/// Reads the parts of one `--subjects`.
class SubjectParser {
 public:
  SubjectParser(const std::string& text, const Document& document, const SubjectRules& rules)
      : text_(text), document_(document), rules_(rules), random_(rules.seed) {}

  std::vector<Subject> parse() {
    for (const std::string_view part : parts_of(text_)) parse_part(part);
    return std::move(subjects_);
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
    } else if (kind == "sentence" && has_argument) {
      add_sentences(part, argument);
    } else if (kind == "top" && has_argument) {
      add_top_share(part, argument);
    } else if (kind == "each" && has_argument) {
      add_each(part, argument);
    } else if (kind == "policy" && has_argument) {
      add_policy(part);
    } else {
      throw UsageError("--subjects \"" + text_ + "\": expected all, sample:N, list:3,7-9, " +
                       "set:3,7-9, word:N, sentence:all, sentence:N, top:SIGNAL:5%, " +
                       "each:SIGNAL:N or policy:P@B, or several joined with +, found \"" +
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

  /// `count` of the ranges, in their order.
  std::vector<Range> drawn(const std::vector<Range>& ranges, std::size_t count) {
    std::vector<Range> some;
    for (const std::size_t index : draw(count, ranges.size(), random_)) {
      some.push_back(ranges[index]);
    }
    return some;
  }

  void add_words(std::string_view argument) {
    std::vector<Range> words = tokens_within(find_words(document_.text), document_.tokens);
    std::erase_if(words,
                  [&](const Range& word) { return word.size() == 0 || word.end > rules_.context; });
    for (const Range& word : drawn(words, parse_count(argument, words.size(), "words"))) {
      subjects_.push_back({{word}, "word"});
    }
  }

  void add_sentences(std::string_view part, std::string_view argument) {
    if (document_.sentences.empty()) {
      throw UsageError("--subjects \"" + std::string(part) + "\" needs to know where sentences " +
                       "end; expected --pos auto or a CoNLL-U file, found --pos none");
    }
    std::vector<Range> sentences = document_.sentences;
    std::erase_if(sentences, [&](const Range& sentence) { return sentence.end > rules_.context; });
    if (sentences.empty()) {
      throw UsageError(document_.name + ", --subjects \"" + std::string(part) + "\": expected a " +
                       "sentence that ends within the context's " + std::to_string(rules_.context) +
                       " tokens, but the first one has " +
                       std::to_string(document_.sentences.front().size()) +
                       "; a longer --context may hold it");
    }
    if (argument != "all") {
      sentences = drawn(sentences, parse_count(argument, sentences.size(), "whole sentences"));
    }
    for (const Range& sentence : sentences) {
      subjects_.push_back({{sentence}, schema::kSentenceGroup});
    }
  }

  void add_top_share(std::string_view part, std::string_view argument) {
    const auto [ranking, share] = split_ranking(argument);
    const std::size_t n_tokens = parse_share(part, share);
    require_end(part);
    Subject subject{{}, std::string(part), ranking};
    if (!ranking)
      subject.tokens = as_ranges(draw_candidates(n_tokens));
    else
      subject.ranked->ranks = {0, n_tokens};
    subjects_.push_back(std::move(subject));
  }

  void add_policy(std::string_view part) {
    require_end(part);
    const PolicyCut cut = parse_policy_cut(part);
    const std::string where = "--subjects \"" + std::string(part) + "\": ";
    if (cut.share == 1) {
      throw UsageError(where + "expected a share below 1, found 1, which evicts nothing");
    }
    try {
      const std::unique_ptr<Policy> policy = make_policy(cut.policy, rules_.policy_model);
      policy->protect_sinks(rules_.n_sinks);
      check_policy(policy->traits());
    } catch (const UsageError& error) {
      throw UsageError(where + error.what());
    }
    Subject& subject = subjects_.emplace_back();
    subject.group = part;
    subject.policy = cut;
  }

  void check_policy(const PolicyTraits& traits) const {
    check_prompt(traits, rules_.context);
    if (traits.influence != Influence::none) {
      throw UsageError(
          "what it keeps by is what this run measures; `longshadow retain --influence` takes it "
          "from an earlier run");
    }
    if (traits.rotates_keys) {
      throw UsageError(
          "it moves the keys that it keeps, which an eviction does not; `longshadow retain` "
          "measures it");
    }
  }

  void require_end(std::string_view part) const {
    if (rules_.evict_at.kind == EvictAt::Kind::end) return;
    throw UsageError("--subjects \"" + std::string(part) + "\" chooses tokens by what is known " +
                     "when the context ends; it needs --evict-at end");
  }

  void add_each(std::string_view part, std::string_view argument) {
    const auto [ranking, number] = split_ranking(argument);
    const std::size_t count =
        parse_count(number, n_candidates(rules_), "tokens between --sinks and --recent");
    if (!ranking) {
      for (const std::size_t token : draw_candidates(count)) {
        subjects_.push_back({{{token, token + 1}}, std::string(part)});
      }
      return;
    }
    for (std::size_t rank = 0; rank < count; ++rank) {
      Subject& subject = subjects_.emplace_back(Subject{{}, std::string(part), ranking});
      subject.ranked->ranks = {rank, rank + 1};
    }
  }

  /// "-drift:5%" as a ranking by drift whose ranks are still to be set, nothing for random, and
  /// what stands behind the colon.
  std::pair<std::optional<RankedTokens>, std::string_view> split_ranking(
      std::string_view argument) const {
    const std::size_t colon = argument.find(':');
    std::string_view signal = argument.substr(0, colon);
    const std::string_view rest = colon == std::string_view::npos ? "" : argument.substr(colon + 1);
    if (signal == kRandom) return {std::nullopt, rest};
    const bool lowest_first = signal.starts_with('-');
    if (lowest_first) signal.remove_prefix(1);
    return {RankedTokens{parse_signal(signal), {}, lowest_first}, rest};
  }

  std::vector<std::size_t> draw_candidates(std::size_t count) {
    std::vector<std::size_t> tokens = draw(count, n_candidates(rules_), random_);
    for (std::size_t& token : tokens) token += rules_.n_sinks;
    return tokens;
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

std::vector<PolicyCut> policy_cuts(const std::string& text) {
  std::vector<PolicyCut> cuts;
  for (const std::string_view part : parts_of(text)) {
    if (part.starts_with("policy:")) cuts.push_back(parse_policy_cut(part));
  }
  return cuts;
}

void resolve_ranks(std::vector<Subject>& subjects, const RunSignals& signals,
                   const SubjectRules& rules) {
  const auto values = token_signals(signals);
  for (Subject& subject : subjects) {
    if (!subject.ranked) continue;
    const RankedTokens& wanted = *subject.ranked;
    const std::vector<std::size_t> order =
        ranking(values[wanted.signal], wanted.lowest_first, rules);
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(wanted.ranks.begin);
    subject.tokens = as_ranges({first, first + static_cast<std::ptrdiff_t>(wanted.ranks.size())});
    subject.ranked.reset();
  }
}

}  // namespace longshadow
