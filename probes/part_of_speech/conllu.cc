#include "probes/part_of_speech/conllu.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "engine/core/error.h"
#include "engine/io/utf8.h"

namespace longshadow {
namespace {

constexpr std::size_t kColumns = 10;
/// Longer lines are no treebank's; the bound keeps what an error message quotes and a word small.
constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;
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

class Reader {
 public:
  explicit Reader(const std::string& source) : source_(source) {}

  void read(std::string_view text) {
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.ends_with('\r')) line.remove_suffix(1);
      ++line_;
      read_line(line);
    }
    finish_sentence();
    if (sentences_.empty()) fail("expected at least one sentence, found none");
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
    if (line.empty()) return finish_sentence();
    if (line.starts_with('#')) return read_comment(line);
    read_columns(split(line));
  }

  void read_comment(std::string_view line) {
    if (!sentence_.words.empty()) fail("expected a comment only before a sentence's first word");
    if (line.starts_with(kTextComment)) sentence_.text = line.substr(kTextComment.size());
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
        if (id->first != sentence_.words.size()) {
          fail("expected an empty node behind word " + std::to_string(sentence_.words.size()) +
               ", found " + quote(columns[0]));
        }
    }
  }

  void read_word(const Id& id, const Columns& columns) {
    const std::size_t next = sentence_.words.size() + 1;
    if (id.first != next) {
      fail("expected word " + std::to_string(next) + ", found ID " + quote(columns[0]));
    }
    const auto tag = word_tag_named(columns[3]);
    if (!tag) fail("expected one of the 17 universal tags in column 4, found " + quote(columns[3]));
    sentence_.words.push_back({std::string(columns[1]), *tag});
    if (next > covered_) {
      sentence_.tokens.push_back({std::string(columns[1]), {next - 1, next}, line_});
      covered_ = next;
    }
  }

  void read_multiword_token(const Id& id, const Columns& columns) {
    const std::size_t next = sentence_.words.size() + 1;
    if (id.first != next || id.first <= covered_ || id.second <= id.first) {
      fail("expected a multiword token that starts with word " + std::to_string(next) +
           " and ends behind it, found " + quote(columns[0]));
    }
    sentence_.tokens.push_back({std::string(columns[1]), {id.first - 1, id.second}, line_});
    covered_ = id.second;
  }

  void finish_sentence() {
    if (covered_ > sentence_.words.size()) {
      fail("expected word " + std::to_string(sentence_.words.size() + 1) +
           " of a multiword token, found the end of the sentence");
    }
    if (!sentence_.words.empty()) sentences_.push_back(std::move(sentence_));
    sentence_ = {};
    covered_ = 0;
  }

  const std::string& source_;
  std::size_t line_ = 0;
  std::vector<ConlluSentence> sentences_;
  ConlluSentence sentence_;
  std::size_t covered_ = 0;  ///< words of the sentence that its tokens promise
};

}  // namespace

std::vector<ConlluSentence> read_conllu(std::string_view text, const std::string& source) {
  Reader reader(source);
  reader.read(text);
  return reader.take_sentences();
}

}  // namespace longshadow
