#include "engine/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "engine/text/unicode.h"

namespace longshadow {
namespace {

std::string normalized(const std::string& text, NormalForm form) {
  return to_normal_form(as_utf8(text, {0, text.size()}), form).bytes();
}

/// utf8proc's own whole-text normalisation, which knows no alignment.
std::string normalized_by_utf8proc(const std::string& text, NormalForm form) {
  const auto* const bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.c_str());
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> result(
      form == NormalForm::nfc ? utf8proc_NFC(bytes) : utf8proc_NFKC(bytes), std::free);
  REQUIRE(result != nullptr);
  return reinterpret_cast<const char*>(result.get());
}

TEST_CASE("texts take Unicode's Normalization Form C") {
  struct Case {
    std::string text;
    std::string normalized;
  };
  // Unicode's NormalizationTest.txt has each of these kinds.
  const std::vector<Case> cases = {
      {"", ""},
      {"plain ASCII", "plain ASCII"},
      {"e\u0301", "\u00e9"},
      {"\u00e9", "\u00e9"},
      {"a\u0301b\u0301", "\u00e1b\u0301"},
      {"\u1e0b\u0323", "\u1e0d\u0307"},              // recomposed in canonical order
      {"q\u0307\u0323", "q\u0323\u0307"},            // ordered only
      {"\u212b", "\u00c5"},                          // a singleton
      {"\u0958", "\u0915\u093c"},                    // a composition exclusion
      {"\u2adc", "\u2add\u0338"},                    // a non-starter decomposition
      {"\u1112\u1161\u11ab", "\ud55c"},              // Hangul
      {"\uac00\u11a8", "\uac01"},                    // a syllable and a final
      {"\uac01\u11a8", "\uac01\u11a8"},              // no room for another final
      {"a\u0300\u0300", "\u00e0\u0300"},             // of two equal marks the second is blocked
      {"\u09c7\u0334\u09be", "\u09c7\u0334\u09be"},  // a starter between is blocked by a mark
      {"\u09c7\u09be", "\u09cb"},                    // a starter that composes
      {"\u0301e", "\u0301e"},                        // a mark without a base
      {"\U00011131\U00011127", "\U0001112e"},
      {"\U0001d15e", "\U0001d157\U0001d165"},
  };
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(normalized(text, NormalForm::nfc) == expected);
  }
}

TEST_CASE("texts take Unicode's Normalization Form KC") {
  struct Case {
    std::string text;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"plain ASCII", "plain ASCII"},
      {"e\u0301", "\u00e9"},
      {"o\ufb03ce", "office"},
      {"\u00bd \u00b2 \u2122", "1\u20442 2 TM"},
      {"a\u00a0b\u3000c", "a b c"},
      {"\uff21\uff11", "A1"},            // full width
      {"\uff76\uff9e", "\u30ac"},        // half width, and a mark that then composes
      {"\u017f\u0323\u0307", "\u1e69"},  // a long s, which composes as an s
      {"\u00a8", " \u0308"},             // a space that the text does not have
      {"\u3131\u1161", "\uac00"},        // a compatibility letter of Hangul
      {"\u332f", "\u30d4\u30af\u30eb"},  // one character that becomes several
      {"\ufdfa",
       "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064a\u0647 "
       "\u0648\u0633\u0644\u0645"},
  };
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(normalized(text, NormalForm::nfkc) == expected);
  }
}

TEST_CASE("random texts normalise as by utf8proc, and their parts stay in place") {
  const NormalForm form = GENERATE(NormalForm::nfc, NormalForm::nfkc);
  const std::u32string alphabet =
      U"aeoqd "
      U"Ee\u00e9\u0300\u0301\u0302\u0323\u0327\u0334\u0338\u0345\u093c\u0915\u0958\u09c7\u09be"
      U"\u1100\u1161\u11a8\uac00\uac01\u1e0d\u1e63\u212b\u2adc\ufb1d\U0001d15e\U0001d165\u6f22"
      U"\u00a0\u00a8\u00bd\u017f\u3000\u3131\u3099\u30ab\ufb01\ufdfa\uff21\uff76\uff9e\ufffd";
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (std::size_t length = 1 + below(12); length > 0; --length) {
      append_utf8(text, alphabet[below(alphabet.size())]);
    }
    INFO(text);
    const AlignedText normalized = to_normal_form(as_utf8(text, {0, text.size()}), form);
    REQUIRE(normalized.bytes() == normalized_by_utf8proc(text, form));

    // Together the characters come from the whole text, and normalising the bytes that all of them
    // came from gives them all again.
    const Range source = normalized.source_of({0, normalized.bytes().size()});
    REQUIRE(source == Range{0, text.size()});
    for (std::size_t at = 0; at < normalized.bytes().size(); ++at) {
      const Range byte = normalized.source_of({at, at + 1});
      REQUIRE(byte.begin < byte.end);
      REQUIRE(byte.end <= text.size());
    }
  }
}

TEST_CASE(
    "a composed character comes from all that it was composed of, its neighbours from theirs") {
  const std::string text = "xe\u0301y";
  const AlignedText normalized = to_normal_form(as_utf8(text, {0, text.size()}), NormalForm::nfc);
  REQUIRE(normalized.bytes() == "x\u00e9y");
  CHECK(normalized.source_of({0, 1}) == Range{0, 1});
  CHECK(normalized.source_of({1, 3}) == Range{1, 4});
  CHECK(normalized.source_of({2, 3}) == Range{1, 4});
  CHECK(normalized.source_of({3, 4}) == Range{4, 5});
}

TEST_CASE("each of several characters that one became comes from the whole of it") {
  const std::string text = "x\ufb01y";
  const AlignedText normalized = to_normal_form(as_utf8(text, {0, text.size()}), NormalForm::nfkc);
  REQUIRE(normalized.bytes() == "xfiy");
  CHECK(normalized.source_of({1, 2}) == Range{1, 4});
  CHECK(normalized.source_of({2, 3}) == Range{1, 4});
  CHECK(normalized.source_of({3, 4}) == Range{4, 5});
}

TEST_CASE("white space at either end is stripped, and a beginning's end is no end yet") {
  const std::string text = " \u3000a b\n\u00a0";
  const auto stripped = [&](Strip step, Extent extent) {
    const std::vector<NormalizerStep> steps{step};
    return Normalizer(steps, "t").normalize(as_utf8(text, {0, text.size()}), extent);
  };
  const AlignedText both = stripped({true, true}, Extent::whole);
  CHECK(both.bytes() == "a b");
  CHECK(both.source_of({0, 1}) == Range{4, 5});
  CHECK(stripped({true, false}, Extent::whole).bytes() == "a b\n\u00a0");
  CHECK(stripped({false, true}, Extent::whole).bytes() == " \u3000a b");
  CHECK(stripped({false, false}, Extent::whole).bytes() == text);
  CHECK(stripped({false, true}, Extent::beginning).bytes() == " \u3000a b");
  const std::vector<NormalizerStep> steps{Strip{true, true}};
  CHECK(Normalizer(steps, "t").normalize(as_utf8(" \n ", {0, 3})).bytes().empty());
}

TEST_CASE("what replaces an empty match stands where the match is") {
  const std::vector<NormalizerStep> steps{Replace{"$", "x"}};
  const AlignedText text = Normalizer(steps, "t").normalize(as_utf8("..ab", {2, 4}));
  CHECK(text.bytes() == "abx");
  CHECK(text.source_of({2, 3}) == Range{4, 4});
  const AlignedText none = Normalizer(steps, "t").normalize(AlignedText());
  CHECK(none.bytes() == "x");
}

TEST_CASE("stand-ins for invalid bytes are taken back where ranges say") {
  const std::string original = "a\xff\ufffd b\xe2\x82";
  const AlignedText text = as_utf8(original, {0, original.size()});
  REQUIRE(text.bytes() == "a\ufffd\ufffd b\ufffd\ufffd");
  CHECK(text.source_of({1, 4}) == Range{1, 2});
  CHECK(text.source_of({4, 7}) == Range{2, 5});
  std::vector<Range> ranges = {{0, 4}, {4, 7}, {8, 15}};  // the space belongs to none
  const AlignedText restored = restore_invalid_bytes(text, original, ranges);
  CHECK(restored.bytes() == original);
  CHECK(ranges == std::vector<Range>{{0, 2}, {2, 5}, {6, 9}});
  CHECK(restored.source_of({6, 9}) == Range{6, 9});
}

}  // namespace
}  // namespace longshadow
