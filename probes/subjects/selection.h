#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/core/range.h"

namespace longshadow {

/// An order of tokens by a signal.
struct Ranking {
  std::size_t signal;         ///< an index of kSignals
  bool lowest_first = false;  ///< rank 0 is the lowest value, not the highest
};

/// A policy at a share, by which `longshadow retain` would evict.
struct PolicyCut {
  std::string policy;  ///< as make_policy() reads it
  double share;        ///< of the slots that stay, below 1
};

// The kinds of subjects that can be selected of a document.

struct EveryToken {};
struct SampledTokens {
  std::size_t count;
};
struct ListedTokens {
  std::vector<Range> ranges;  ///< each a subject, in the order written
};
struct TokenSet {
  std::vector<Range> ranges;  ///< one subject together
};
struct SampledWords {
  std::size_t count;
};
struct Sentences {
  std::optional<std::size_t> count;  ///< empty: all
};
struct TopShare {
  std::optional<Ranking> ranking;  ///< empty: drawn
  double percent;                  ///< of the context
};
struct EachOfTop {
  std::optional<Ranking> ranking;  ///< empty: drawn
  std::size_t count;
};

struct SelectionPart {
  std::string text;  ///< as it was typed, which names its subjects' group in a run file
  std::variant<EveryToken, SampledTokens, ListedTokens, TokenSet, SampledWords, Sentences, TopShare,
               EachOfTop, PolicyCut>
      what;
};

/// Which subjects a probe removes, whatever the document.
struct Selection {
  std::string text;
  std::vector<SelectionPart> parts;
};

/// Reads one or several of these, joined with "+":
///   all             every token, one at a time
///   sample:N        N tokens, one at a time, in order of position
///   list:3,7-9      token 3, and tokens 7, 8 and 9 together
///   set:3,7-9       tokens 3, 7, 8 and 9 together
///   word:N          N words of the text, the tokens of each together, in order of position
///   sentence:all    every sentence that lies whole in the context, the tokens of each together
///   sentence:N      N of these, in order of position
///   top:SIGNAL:5%   5% of the context's tokens together: those with the highest value of one of
///                   kSignals, or drawn (random)
///   each:SIGNAL:N   N tokens, one at a time: those with the highest value of the signal, or drawn
///                   (random)
///   policy:P@B      all slots together that eviction policy P evicts where it keeps the share B of
///                   the context's, by layer and KV head
/// A minus before SIGNAL takes the lowest values instead. Throws UsageError where the text is none
/// of these.
Selection parse_selection(const std::string& text);

}  // namespace longshadow
