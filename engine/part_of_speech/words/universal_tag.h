#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace longshadow {

/// The universal part-of-speech tags (Universal Dependencies v2, https://universaldependencies.org
/// /u/pos), and `none` for a token that belongs to no word. The values are what run files hold.
enum class UniversalTag : std::uint8_t {
  adj = 0,
  adp = 1,
  adv = 2,
  aux = 3,
  cconj = 4,
  det = 5,
  intj = 6,
  noun = 7,
  num = 8,
  part = 9,
  pron = 10,
  propn = 11,
  punct = 12,
  sconj = 13,
  sym = 14,
  verb = 15,
  x = 16,
  none = 17,
};

/// The tags that a word can have: all but `none`.
inline constexpr std::size_t kWordTags = 17;

/// By value. The last is this project's own, as in "no part of speech".
inline constexpr std::array<std::string_view, kWordTags + 1> kTagNames = {
    "ADJ",  "ADP",  "ADV",   "AUX",   "CCONJ", "DET", "INTJ", "NOUN", "NUM",
    "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",    "NONE"};

inline constexpr std::size_t index_of(UniversalTag tag) { return static_cast<std::size_t>(tag); }
inline constexpr std::string_view name_of(UniversalTag tag) { return kTagNames[index_of(tag)]; }

/// The word tag of that name ("NOUN"); empty where there is none.
inline constexpr std::optional<UniversalTag> word_tag_named(std::string_view name) {
  for (std::size_t tag = 0; tag < kWordTags; ++tag) {
    if (kTagNames[tag] == name) return static_cast<UniversalTag>(tag);
  }
  return std::nullopt;
}

/// A set of word tags.
class TagSet {
 public:
  constexpr TagSet() = default;
  constexpr TagSet(std::initializer_list<UniversalTag> tags) {
    for (const UniversalTag tag : tags) insert(tag);
  }
  static constexpr TagSet all() { return from_bits((1u << kWordTags) - 1); }
  static constexpr TagSet from_bits(std::uint32_t bits) {
    TagSet set;
    set.bits_ = bits;
    return set;
  }

  constexpr void insert(UniversalTag tag) { bits_ |= 1u << index_of(tag); }
  constexpr bool contains(UniversalTag tag) const { return (bits_ >> index_of(tag) & 1u) != 0; }
  constexpr TagSet without(UniversalTag tag) const {
    return from_bits(bits_ & ~(1u << index_of(tag)));
  }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::uint32_t bits() const { return bits_; }
  friend constexpr bool operator==(TagSet, TagSet) = default;

 private:
  std::uint32_t bits_ = 0;
};

}  // namespace longshadow
