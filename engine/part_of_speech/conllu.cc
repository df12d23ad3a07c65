#include "engine/part_of_speech/conllu.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "engine/core/error.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

constexpr std::size_t kColumns = 10;
/// Longer lines are no treebank's; the bound keeps what an error message quotes and a word small.
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kSpaces = " \t\r\n\v\f";
constexpr std::string_view kTextComment = "# text = ";

using Columns = std::array<std::string_view, kColumns>;

/// "3" (3, 3, word), "3-4" (multiword token) or "3.1" (empty node).
struct Id {
  enum class Kind { word, multiword, empty_node };
  Kind kind;
  std::size_t first;
  std::size_t second;
};

std::optional<std::size_t> whole_number(std::string_view digits) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<Id> parse_id(std::string_view text) {
  const std::size_t separator = text.find_first_of("-.");
  const auto first = whole_number(text.substr(0, separator));
  if (!first) return std::nullopt;
  if (separator == std::string_view::npos) return Id{Id::Kind::word, *first, *first};
  const auto second = whole_number(text.substr(separator + 1));
  if (!second) return std::nullopt;
  return Id{text[separator] == '-' ? Id::Kind::multiword : Id::Kind::empty_node, *first, *second};
}

/// A row for white space whose form, and lemma, have it as it is: with line ends and tabs, which
/// break the row.
struct SpaceRow {
  std::size_t bytes;  ///< all lines but the last one's end
  std::string_view id;
};

/// The row that `text` begins with, if it is such a one: its ID, nothing but white space in the
/// form, the same or "_" as the lemma, and the other columns.
std::optional<SpaceRow> broken_space_row(std::string_view text) {
  const std::size_t form = text.find_first_not_of("0123456789");
  if (form == 0 || form == std::string_view::npos || text[form] != '\t') return std::nullopt;
  const std::size_t behind = text.find_first_not_of(kSpaces, form);
  if (behind == std::string_view::npos || text[behind - 1] != '\t' || behind == form + 1) {
    return std::nullopt;
  }
  const std::size_t end = std::min(text.find('\n', behind), text.size());
  const std::string_view others = text.substr(behind, end - behind);
  const auto columns = static_cast<std::size_t>(std::count(others.begin(), others.end(), '\t')) + 1;
  const std::size_t space_bytes = behind - 1 - (form + 1);
  const bool has_lemma = columns == kColumns - 2 && space_bytes > 0;
  const bool has_tag = columns == kColumns - 3 && space_bytes > 1;
  if (!has_lemma && !has_tag) return std::nullopt;
  return SpaceRow{end, text.substr(0, form)};
}

class Reader {
 public:
  Reader(const std::string& source, MissingTags missing) : source_(source), missing_(missing) {}

  void read(std::string_view text) {
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    while (!text.empty()) {
      ++line_;
      const auto space = broken_space_row(text);
      const std::size_t end = space ? space->bytes : std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (space) {
        read_space(*space);
        line_ += static_cast<std::size_t>(std::count(line.begin(), line.end(), '\n'));
        continue;
      }
      if (line.ends_with('\r')) line.remove_suffix(1);
      read_line(line);
    }
    finish_sentence();
    if (sentences_.empty()) fail("expected at least one sentence, found none");
    if (!has_tags_) fail("expected universal tags in column 4, found \"_\" for every word");
  }

  std::vector<ConlluSentence> take_sentences() { return std::move(sentences_); }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw Error(source_ + ": line " + std::to_string(line_) + ": " + message);
  }

  void read_line(std::string_view line) {
    if (line.size() > kMaxLineBytes) {
      fail("expected at most " + std::to_string(kMaxLineBytes) + " bytes, found " +
           std::to_string(line.size()));
    }
    if (!is_utf8(line)) fail("expected UTF-8, found " + quote(line));
    if (is_in_text_ && !line.starts_with('#') && !begins_with_id(line)) {
      sentence_.text += "\n" + std::string(line);
      return;
    }
    is_in_text_ = false;
    if (line.find_first_not_of(kSpaces) == std::string_view::npos) return finish_sentence();
    if (line.starts_with('#')) return read_comment(line);
    read_columns(split(line));
  }

  void read_comment(std::string_view line) {
    if (last_id_ != 0) fail("expected a comment only before a sentence's first word");
    is_in_text_ = line.starts_with(kTextComment);
    if (is_in_text_) sentence_.text = line.substr(kTextComment.size());
  }

  static bool begins_with_id(std::string_view line) {
    const std::size_t tab = line.find('\t');
    return tab != std::string_view::npos && parse_id(line.substr(0, tab));
  }

  void read_space(const SpaceRow& row) {
    is_in_text_ = false;
    if (whole_number(row.id) != last_id_ + 1) {
      fail("expected word " + std::to_string(last_id_ + 1) + ", found ID " + quote(row.id));
    }
    if (++last_id_ <= covered_) fail("expected a word of a multiword token, found white space");
  }

  Columns split(std::string_view line) const {
    Columns columns;
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::size_t tab = line.find('\t');
      const bool last = i + 1 == kColumns;
      if ((tab == std::string_view::npos) != last) {
        fail("expected " + std::to_string(kColumns) + " columns between tabs, found " +
             (last ? "more" : std::to_string(i + 1)));
      }
      columns[i] = line.substr(0, tab);
      if (columns[i].empty())
        fail("column " + std::to_string(i + 1) + " is empty; \"_\" says none");
      line.remove_prefix(last ? line.size() : tab + 1);
    }
    return columns;
  }

  void read_columns(const Columns& columns) {
    const auto id = parse_id(columns[0]);
    if (!id) fail("expected an ID like 3, 3-4 or 3.1, found " + quote(columns[0]));
    switch (id->kind) {
      case Id::Kind::word:
        return read_word(*id, columns);
      case Id::Kind::multiword:
        return read_multiword_token(*id, columns);
      case Id::Kind::empty_node:
        if (id->first != last_id_) {
          fail("expected an empty node behind word " + std::to_string(last_id_) + ", found " +
               quote(columns[0]));
        }
    }
  }

  void read_word(const Id& id, const Columns& columns) {
    const std::size_t next = last_id_ + 1;
    if (id.first != next) {
      fail("expected word " + std::to_string(next) + ", found ID " + quote(columns[0]));
    }
    last_id_ = next;
    const bool is_covered = next <= covered_;
    if (!is_covered && is_white_space(columns)) return;
    const UniversalTag tag = tag_of(columns[3]);
    const std::size_t index = sentence_.words.size();
    sentence_.words.push_back({std::string(columns[1]), tag});
    if (is_covered) {
      sentence_.tokens.back().words.end = index + 1;
    } else {
      sentence_.tokens.push_back({std::string(columns[1]), {index, index + 1}, line_});
    }
  }

  static bool is_white_space(const Columns& columns) {
    return columns[3] == "SPACE" || columns[4] == "_SP" ||
           behind_white_space(columns[1], 0) == columns[1].size();
  }

  UniversalTag tag_of(std::string_view name) {
    if (name == "_" && missing_ == MissingTags::allowed) return UniversalTag::none;
    const auto tag = word_tag_named(name);
    if (!tag) fail("expected one of the 17 universal tags in column 4, found " + quote(name));
    has_tags_ = true;
    return *tag;
  }

  void read_multiword_token(const Id& id, const Columns& columns) {
    const std::size_t next = last_id_ + 1;
    if (id.first != next || id.first <= covered_ || id.second <= id.first) {
      fail("expected a multiword token that starts with word " + std::to_string(next) +
           " and ends behind it, found " + quote(columns[0]));
    }
    const std::size_t index = sentence_.words.size();
    sentence_.tokens.push_back({std::string(columns[1]), {index, index}, line_});
    covered_ = id.second;
  }

  void finish_sentence() {
    if (covered_ > last_id_) {
      fail("expected word " + std::to_string(last_id_ + 1) +
           " of a multiword token, found the end of the sentence");
    }
    if (!sentence_.words.empty()) sentences_.push_back(std::move(sentence_));
    sentence_ = {};
    last_id_ = 0;
    covered_ = 0;
  }

  const std::string& source_;
  const MissingTags missing_;
  std::size_t line_ = 0;
  std::vector<ConlluSentence> sentences_;
  ConlluSentence sentence_;
  std::size_t last_id_ = 0;  ///< of the sentence's words and white space
  std::size_t covered_ = 0;  ///< the last ID that its multiword tokens promise
  bool is_in_text_ = false;  ///< of a text comment, which line ends of the text may break
  bool has_tags_ = false;
};

}  // namespace

std::vector<ConlluSentence> read_conllu(std::string_view text, const std::string& source,
                                        MissingTags missing) {
  Reader reader(source, missing);
  reader.read(text);
  return reader.take_sentences();
}

}  // namespace longshadow
