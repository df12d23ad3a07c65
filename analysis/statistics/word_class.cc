#include "analysis/statistics/word_class.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "data/format/schema.h"

namespace longshadow {

namespace {

constexpr std::array<std::string_view, 4> kContent = {"ADJ", "NOUN", "PROPN", "VERB"};
constexpr std::array<std::string_view, 7> kFunction = {"ADP",  "AUX",  "CCONJ", "DET",
                                                       "PART", "PRON", "SCONJ"};

template <std::size_t N>
bool is_among(const std::array<std::string_view, N>& tags, std::string_view tag) {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

}  // namespace

WordClass word_class(std::uint8_t upos) {
  const std::string_view tag = schema::kUniversalTags[upos];
  if (is_among(kContent, tag)) return WordClass::content;
  return is_among(kFunction, tag) ? WordClass::function : WordClass::neither;
}

}  // namespace longshadow
