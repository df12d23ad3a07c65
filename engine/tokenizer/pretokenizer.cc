#include "engine/tokenizer/pretokenizer.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace longshadow {
namespace {

/// A stretch of a piece: a match of the pattern, or what lies between two matches.
struct Stretch {
  Range range;
  bool is_delimiter;
};

std::vector<Stretch> stretches_between(std::span<const Range> matches, std::size_t size,
                                       bool invert) {
  std::vector<Stretch> stretches;
  std::size_t previous_end = 0;
  for (const Range match : matches) {
    if (previous_end != match.begin) stretches.push_back({{previous_end, match.begin}, invert});
    stretches.push_back({match, !invert});
    previous_end = match.end;
  }
  if (previous_end != size) stretches.push_back({{previous_end, size}, invert});
  return stretches;
}

/// Whether a stretch joins the one before it in reading order (for merged_with_next: behind it).
bool joins(SplitBehavior behavior, bool is_delimiter, bool neighbour_is_delimiter) {
  switch (behavior) {
    case SplitBehavior::merged_with_previous:
    case SplitBehavior::merged_with_next:
      return is_delimiter && !neighbour_is_delimiter;
    case SplitBehavior::contiguous:
      return is_delimiter == neighbour_is_delimiter;
    default:
      return false;
  }
}

std::vector<Range> apply(SplitBehavior behavior, std::vector<Stretch> stretches) {
  const bool backwards = behavior == SplitBehavior::merged_with_next;
  if (backwards) std::reverse(stretches.begin(), stretches.end());
  std::vector<Range> pieces;
  bool previous_is_delimiter = false;
  for (const Stretch& stretch : stretches) {
    if (behavior == SplitBehavior::removed && stretch.is_delimiter) continue;
    if (!pieces.empty() && joins(behavior, stretch.is_delimiter, previous_is_delimiter)) {
      (backwards ? pieces.back().begin : pieces.back().end) =
          backwards ? stretch.range.begin : stretch.range.end;
    } else {
      pieces.push_back(stretch.range);
    }
    previous_is_delimiter = stretch.is_delimiter;
  }
  if (backwards) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

AlignedText with_prefix_spaces(const AlignedText& text, std::vector<Range>& pieces) {
  AlignedText prefixed;
  for (Range& piece : pieces) {
    const std::size_t begin = prefixed.bytes().size();
    const std::size_t source_begin = text.source_of(piece).begin;
    if (text.bytes()[piece.begin] != ' ') prefixed.append(" ", {source_begin, source_begin});
    prefixed.append(text, piece);
    piece = {begin, prefixed.bytes().size()};
  }
  return prefixed;
}

bool wants_prefix(SpellSpaces::Prefix prefix, Range source) {
  return prefix == SpellSpaces::Prefix::always ||
         (prefix == SpellSpaces::Prefix::at_the_beginning && source.begin == 0);
}

/// Spells each piece's spaces, and cuts before them if the step says so.
AlignedText with_spelled_spaces(const SpellSpaces& step, const AlignedText& text,
                                std::vector<Range>& pieces) {
  AlignedText spelled;
  std::vector<Range> finer;
  for (const Range piece : pieces) {
    std::size_t begin = spelled.bytes().size();
    const auto cut = [&] {
      const std::size_t end = spelled.bytes().size();
      if (begin != end) finer.push_back({begin, end});
      begin = end;
    };
    const std::string_view bytes = std::string_view(text.bytes()).substr(0, piece.end);
    const Range source = text.source_of(piece);
    const bool has_space =
        bytes[piece.begin] == ' ' || bytes.substr(piece.begin).starts_with(kSpelledSpace);
    if (!has_space && wants_prefix(step.prefix, source)) {
      spelled.append(kSpelledSpace, {source.begin, source.begin});
    }
    for (std::size_t at = piece.begin; at < piece.end;) {
      const bool is_spelled = bytes.substr(at).starts_with(kSpelledSpace);
      if (step.splits && (is_spelled || bytes[at] == ' ')) cut();
      if (bytes[at] == ' ') {
        spelled.append(kSpelledSpace, text.source_of({at, at + 1}));
        ++at;
      } else {
        const std::size_t next = is_spelled ? at + kSpelledSpace.size() : at + 1;
        spelled.append(text, {at, next});
        at = next;
      }
    }
    cut();
  }
  pieces = std::move(finer);
  return spelled;
}

}  // namespace

Pretokenizer::Pretokenizer(std::span<const PretokenizerStep> steps, const std::string& source) {
  for (const PretokenizerStep& step : steps) {
    if (const auto* rule = std::get_if<SplitRule>(&step)) {
      steps_.push_back(Split{Pattern(rule->pattern, source), rule->behavior, rule->invert});
    } else if (const auto* spell = std::get_if<SpellSpaces>(&step)) {
      steps_.push_back(*spell);
    } else {
      steps_.push_back(PrefixSpace{});
    }
  }
}

// With a beginning alone the last piece is open: it starts where it starts and holds what it holds,
// but may go on. A step leaves all pieces before it as they are with any text behind, because a
// pattern's certain matches are, and because what joins a piece (see joins()) is its direct
// neighbour. The open piece that a step makes is the last one it finds in the open piece it was
// given, up to the byte that its pattern is certain of.
std::vector<Range> Pretokenizer::split(AlignedText& text, Extent extent) const {
  std::vector<Range> pieces;
  if (!text.bytes().empty()) pieces.push_back({0, text.bytes().size()});
  for (const auto& step : steps_) {
    if (const auto* spell = std::get_if<SpellSpaces>(&step)) {
      text = with_spelled_spaces(*spell, text, pieces);
      continue;
    }
    const auto* rule = std::get_if<Split>(&step);
    if (rule == nullptr) {
      text = with_prefix_spaces(text, pieces);
      continue;
    }
    std::vector<Range> finer;
    std::vector<Range> matches;
    for (const Range piece : pieces) {
      auto part = std::string_view(text.bytes()).substr(piece.begin, piece.size());
      matches.clear();
      if (extent == Extent::beginning && piece == pieces.back()) {
        part = part.substr(0, rule->pattern.find_certain(part, matches));
      } else {
        rule->pattern.find_all(part, matches);
      }
      for (const Range range :
           apply(rule->behavior, stretches_between(matches, part.size(), rule->invert))) {
        if (range.size() != 0)
          finer.push_back({piece.begin + range.begin, piece.begin + range.end});
      }
    }
    pieces = std::move(finer);
  }
  if (extent == Extent::beginning && !pieces.empty()) pieces.pop_back();
  return pieces;
}

}  // namespace longshadow
