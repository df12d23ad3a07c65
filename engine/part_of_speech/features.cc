#include "engine/part_of_speech/features.h"

#include <algorithm>
#include <bit>
#include <string>

#include "engine/part_of_speech/words/word_form.h"
#include "engine/text/unicode.h"

namespace longshadow {
namespace {

/// What a feature is about; the values beside it are hashes. The order is part of the weights file.
enum class Template : std::uint64_t {
  bias,
  form,
  lower,
  normalised,
  shape,
  flags,
  prefix,  // with its length
  suffix,
  rare_shape,
  rare_prefix,
  rare_suffix,
  ambiguity,
  previous_form,
  next_form,
  before_previous_form,
  after_next_form,
  previous_and_form,
  form_and_next,
  before_previous_and_previous,
  next_and_after_next,
  previous_and_next,
  previous_shape,
  next_shape,
  previous_suffix,
  next_suffix,
  previous_ambiguity,
  next_ambiguity,
  after_next_ambiguity,
  last_form,
  tag1,
  tag2,
  tags,
  tag1_and_form,
  tag2_and_form,
  tags_and_form,
  tag1_and_suffix,
  tags_and_suffix,
  tag1_and_next,
  tag1_and_ambiguity,
};

/// Multiply and mix as MurmurHash3's finaliser does (Appleby), enough for 32 even bits.
Feature feature(Template kind, std::uint64_t a = 0, std::uint64_t b = 0) {
  std::uint64_t hash = a + std::rotl(b, 23) * 0x9e3779b97f4a7c15;
  hash += (static_cast<std::uint64_t>(kind) + 1) * 0xd6e8feb86659fd93;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return static_cast<Feature>(hash >> 32);
}

std::uint64_t flags_of(std::string_view form) {
  std::size_t upper = 0, lower = 0, digits = 0, others = 0;
  bool starts_upper = false;
  for (std::size_t at = 0; at < form.size();) {
    const auto code_point = code_point_at(form, at);
    if (!code_point) break;
    switch (character_class(code_point->value)) {
      case CharacterClass::upper:
        ++upper;
        starts_upper = starts_upper || at == 0;
        break;
      case CharacterClass::lower:
        ++lower;
        break;
      case CharacterClass::digit:
        ++digits;
        break;
      case CharacterClass::other:
        ++others;
    }
    at += code_point->length;
  }
  const bool flags[] = {
      digits != 0,  digits != 0 && upper + lower == 0, form.find('-') != std::string_view::npos,
      starts_upper, upper != 0 && lower == 0,          upper + lower + digits == 0,
  };
  std::uint64_t bits = 0;
  for (const bool flag : flags) bits = bits << 1 | (flag ? 1u : 0u);
  return bits;
}

/// What stands around a sentence.
const WordAttributes& boundary() {
  static const WordAttributes kBoundary = attributes_of("\n", Lexicon());
  return kBoundary;
}

}  // namespace

WordAttributes attributes_of(std::string_view form, const Lexicon& lexicon) {
  const std::string lower = lower_case(form);
  WordAttributes word{};
  word.form = hash_of(form);
  word.lower = hash_of(lower);
  word.normalised = hash_of(normalised(form));
  word.shape = hash_of(shape_of(form));
  for (std::size_t i = 0; i < word.prefixes.size(); ++i) {
    word.prefixes[i] = hash_of(prefix_of(form, i + 1));
  }
  for (std::size_t i = 0; i < word.suffixes.size(); ++i) {
    word.suffixes[i] = hash_of(suffix_of(lower, i + 1));
  }
  word.flags = flags_of(form);
  word.lexicon = lexicon.find(word.lower);
  return word;
}

SentenceFeatures::SentenceFeatures(std::span<const WordAttributes> words) : words_(words) {}

std::span<const Feature> SentenceFeatures::at(std::size_t index, TagHistory history) {
  features_.clear();
  add_word(words_[index]);
  add_neighbours(index);
  add_history(index, history);
  return features_;
}

const WordAttributes& SentenceFeatures::word(std::size_t index, int offset) const {
  const std::size_t at = index + static_cast<std::size_t>(offset);  // wraps around below 0
  return at < words_.size() ? words_[at] : boundary();
}

void SentenceFeatures::add_word(const WordAttributes& word) {
  const auto add = [&](Template kind, std::uint64_t a = 0, std::uint64_t b = 0) {
    features_.push_back(feature(kind, a, b));
  };
  add(Template::bias);
  add(Template::form, word.form);
  add(Template::lower, word.lower);
  add(Template::normalised, word.normalised);
  add(Template::shape, word.shape);
  add(Template::flags, word.flags);
  for (std::size_t i = 0; i < word.prefixes.size(); ++i) add(Template::prefix, word.prefixes[i], i);
  for (std::size_t i = 0; i < word.suffixes.size(); ++i) add(Template::suffix, word.suffixes[i], i);
  if (word.lexicon.rare) {
    add(Template::rare_shape, word.shape);
    for (std::size_t i = 0; i < word.prefixes.size(); ++i) {
      add(Template::rare_prefix, word.prefixes[i], i);
    }
    for (std::size_t i = 0; i < word.suffixes.size(); ++i) {
      add(Template::rare_suffix, word.suffixes[i], i);
    }
  }
  if (!word.lexicon.tags.empty()) add(Template::ambiguity, word.lexicon.tags.bits());
}

void SentenceFeatures::add_neighbours(std::size_t index) {
  const WordAttributes& before_previous = word(index, -2);
  const WordAttributes& previous = word(index, -1);
  const WordAttributes& here = word(index, 0);
  const WordAttributes& next = word(index, 1);
  const WordAttributes& after_next = word(index, 2);
  const auto add = [&](Template kind, std::uint64_t a, std::uint64_t b = 0) {
    features_.push_back(feature(kind, a, b));
  };
  add(Template::previous_form, previous.normalised);
  add(Template::next_form, next.normalised);
  add(Template::before_previous_form, before_previous.normalised);
  add(Template::after_next_form, after_next.normalised);
  add(Template::previous_and_form, previous.normalised, here.normalised);
  add(Template::form_and_next, here.normalised, next.normalised);
  add(Template::before_previous_and_previous, before_previous.normalised, previous.normalised);
  add(Template::next_and_after_next, next.normalised, after_next.normalised);
  add(Template::previous_and_next, previous.normalised, next.normalised);
  add(Template::previous_shape, previous.shape);
  add(Template::next_shape, next.shape);
  add(Template::previous_suffix, previous.suffixes[2]);
  add(Template::next_suffix, next.suffixes[2]);
  if (!previous.lexicon.tags.empty()) {
    add(Template::previous_ambiguity, previous.lexicon.tags.bits());
  }
  if (!next.lexicon.tags.empty()) add(Template::next_ambiguity, next.lexicon.tags.bits());
  if (!after_next.lexicon.tags.empty()) {
    add(Template::after_next_ambiguity, after_next.lexicon.tags.bits());
  }
  add(Template::last_form, words_.back().normalised);
}

void SentenceFeatures::add_history(std::size_t index, TagHistory history) {
  const WordAttributes& here = word(index, 0);
  const std::uint64_t tag1 = history.previous;
  const std::uint64_t tags = tag1 << 8 | history.before_previous;
  const auto add = [&](Template kind, std::uint64_t a, std::uint64_t b = 0) {
    features_.push_back(feature(kind, a, b));
  };
  add(Template::tag1, tag1);
  add(Template::tag2, history.before_previous);
  add(Template::tags, tags);
  add(Template::tag1_and_form, here.normalised, tag1);
  add(Template::tag2_and_form, here.normalised, history.before_previous);
  add(Template::tags_and_form, here.normalised, tags);
  add(Template::tag1_and_suffix, here.suffixes[2], tag1);
  add(Template::tags_and_suffix, here.suffixes[2], tags);
  add(Template::tag1_and_next, word(index, 1).normalised, tag1);
  if (!here.lexicon.tags.empty()) {
    add(Template::tag1_and_ambiguity, here.lexicon.tags.bits(), tag1);
  }
}

}  // namespace longshadow
