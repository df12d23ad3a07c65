#include "probes/subjects/selection.h"

#include <string_view>
#include <utility>

#include "data/format/token_signals.h"
#include "engine/core/error.h"
#include "engine/text/number_list.h"
#include "probes/subjects/budget.h"

namespace longshadow {
namespace {

using What = decltype(SelectionPart::what);

constexpr std::string_view kRandom = "random";

/// The pieces between plus signs.
std::vector<std::string_view> pieces_of(std::string_view text) {
  std::vector<std::string_view> pieces;
  while (true) {
    const std::size_t plus = text.find('+');
    pieces.push_back(text.substr(0, plus));
    if (plus == std::string_view::npos) return pieces;
    text.remove_prefix(plus + 1);
  }
}

std::size_t parse_signal(std::string_view name) {
  std::string names;
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    if (name == kSignals[k].name) return k;
    names += kSignals[k].name + std::string(", ");
  }
  throw UsageError("expected a signal of " + names + "or " + std::string(kRandom) + ", found \"" +
                   std::string(name) + "\"");
}

/// Reads "-drift:5%" as a ranking by drift, or nothing for random, and what stands behind the
/// colon.
std::pair<std::optional<Ranking>, std::string_view> split_ranking(std::string_view argument) {
  const std::size_t colon = argument.find(':');
  std::string_view signal = argument.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? "" : argument.substr(colon + 1);
  if (signal == kRandom) return {std::nullopt, rest};
  const bool lowest_first = signal.starts_with('-');
  if (lowest_first) signal.remove_prefix(1);
  return {Ranking{parse_signal(signal), lowest_first}, rest};
}

TopShare parse_top(std::string_view argument) {
  const auto [ranking, share] = split_ranking(argument);
  const std::optional<double> percent = percentage(share);
  if (!percent) {
    throw UsageError(
        "expected top:SIGNAL:SHARE with a share above 0% and at most 100%, as in "
        "top:entropy-before:5%, found \"top:" +
        std::string(argument) + "\"");
  }
  return {ranking, *percent};
}

EachOfTop parse_each(std::string_view argument) {
  const auto [ranking, number] = split_ranking(argument);
  return {ranking, parse_number(number)};
}

Sentences parse_sentences(std::string_view argument) {
  if (argument == "all") return {};
  return {parse_number(argument)};
}

PolicyCut parse_policy(std::string_view argument) {
  const std::size_t at = argument.rfind('@');
  if (at == std::string_view::npos || at == 0) {
    throw UsageError("expected policy:POLICY@SHARE, as in policy:snapkv@0.2");
  }
  const double share = parse_budget(std::string(argument.substr(at + 1))).share;
  if (share == 1) throw UsageError("expected a share below 1, found 1, which evicts nothing");
  return {std::string(argument.substr(0, at)), share};
}

What parse_piece(std::string_view piece) {
  const std::size_t colon = piece.find(':');
  const std::string_view kind = piece.substr(0, colon);
  if (colon == std::string_view::npos) {
    if (kind == "all") return EveryToken{};
  } else {
    const std::string_view argument = piece.substr(colon + 1);
    if (kind == "sample") return SampledTokens{parse_number(argument)};
    if (kind == "list") return ListedTokens{parse_ranges(argument)};
    if (kind == "set") return TokenSet{parse_ranges(argument)};
    if (kind == "word") return SampledWords{parse_number(argument)};
    if (kind == "sentence") return parse_sentences(argument);
    if (kind == "top") return parse_top(argument);
    if (kind == "each") return parse_each(argument);
    if (kind == "policy") return parse_policy(argument);
  }
  throw UsageError(
      "expected all, sample:N, list:3,7-9, set:3,7-9, word:N, sentence:all, sentence:N, "
      "top:SIGNAL:5%, each:SIGNAL:N or policy:P@B, or several joined with +, found \"" +
      std::string(piece) + "\"");
}

}  // namespace

Selection parse_selection(const std::string& text) {
  Selection selection{text, {}};
  for (const std::string_view piece : pieces_of(text)) {
    selection.parts.push_back({std::string(piece), parse_piece(piece)});
  }
  return selection;
}

}  // namespace longshadow
