#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/text/pattern.h"

#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>

#include "engine/core/error.h"
#include "engine/text/pattern_syntax.h"
#include "engine/text/unicode.h"
#include "engine/text/utf8.h"

namespace longshadow {
namespace {

/// Tokenizers' patterns backtrack at most along one run of spaces, a step or two for each: what a
/// match may take beyond that stops a pattern that explodes within a fraction of a second. PCRE2
/// sets no useful limits by itself, and its just-in-time compiler ignores the heap limit, so the
/// interpreter runs.
constexpr std::size_t kMaxMatchSteps = 1'000'000;
constexpr std::size_t kMaxMatchStepsPerByte = 4;
constexpr std::uint32_t kMaxHeapKibibytes = 64 * 1024;
constexpr std::size_t kMaxPatternBytes = 64 * 1024;

struct Free {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
template <class T>
using Handle = std::unique_ptr<T, Free>;

template <class T>
Handle<T> own(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return Handle<T>(pointer);
}

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> message{};
  pcre2_get_error_message(error, message.data(), message.size());
  return reinterpret_cast<const char*>(message.data());
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

Handle<pcre2_code> compile(std::string_view expression) {
  const auto context = own(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  // Ruby's ^ and $ are about lines.
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE;
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(units(expression), expression.size(), kOptions, &error, &offset, context.get());
  if (code == nullptr) throw std::invalid_argument(message_of(error));
  return Handle<pcre2_code>(code);
}

Handle<pcre2_match_context> limits_for(std::size_t text_bytes) {
  auto limits = own(pcre2_match_context_create(nullptr));
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  const std::size_t steps = kMaxMatchSteps + kMaxMatchStepsPerByte * text_bytes;
  pcre2_set_match_limit(limits.get(), static_cast<std::uint32_t>(std::min(steps, kMost)));
  pcre2_set_heap_limit(limits.get(), kMaxHeapKibibytes);
  return limits;
}

}  // namespace

struct Pattern::Compiled {
  std::string name;  // "source: pattern '...'"
  Handle<pcre2_code> code;
};

Pattern::Pattern(std::string_view expression, const std::string& source)
    : compiled_(std::make_unique<Compiled>()) {
  compiled_->name = source + ": pattern " + quote(expression);
  if (expression.size() > kMaxPatternBytes) {
    throw Error(compiled_->name + ": expected at most " + std::to_string(kMaxPatternBytes) +
                " bytes, found " + std::to_string(expression.size()));
  }
  try {
    compiled_->code = compile(to_pcre2_syntax(expression));
  } catch (const std::invalid_argument& error) {
    throw Error(compiled_->name + " cannot be used: " + error.what());
  }
}

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

void Pattern::find_all(std::string_view text, std::vector<Range>& matches) const {
  find(text, /*goes_on=*/false, matches);
}

std::size_t Pattern::find_certain(std::string_view text, std::vector<Range>& matches) const {
  return find(text, /*goes_on=*/true, matches);
}

std::size_t Pattern::find(std::string_view text, bool goes_on, std::vector<Range>& matches) const {
  // Partial matching in its hard form stops at the first place where PCRE2 would have read beyond
  // the text, be it in a look-ahead: what it found before that does not depend on what follows.
  const std::uint32_t options = PCRE2_NO_UTF_CHECK | (goes_on ? PCRE2_PARTIAL_HARD : 0);
  // A dollar also holds before line ends that are the text's last, which PCRE2 does not take for a
  // look beyond the text: whether they are is not known.
  while (goes_on && text.ends_with('\n')) text.remove_suffix(1);
  const auto data = own(pcre2_match_data_create(1, nullptr));
  const auto limits = limits_for(text.size());
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
  bool has_previous = false;
  std::size_t previous_end = 0;
  for (std::size_t from = 0; from <= text.size();) {
    const int found = pcre2_match(compiled_->code.get(), units(text), text.size(), from, options,
                                  data.get(), limits.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found == PCRE2_ERROR_PARTIAL) return bounds[0];
    if (found < 0) {
      throw Error(compiled_->name + " gave up on a text of " + std::to_string(text.size()) +
                  " bytes at byte " + std::to_string(from) + ": " + message_of(found));
    }
    const Range match{bounds[0], bounds[1]};
    if (goes_on && match.begin == text.size()) break;  // empty, and longer perhaps with more text
    if (match.size() == 0 && has_previous && match.begin == previous_end) {
      const auto passed_over = code_point_at(text, from);
      from += passed_over ? passed_over->length : 1;
      continue;
    }
    matches.push_back(match);
    has_previous = true;
    from = previous_end = match.end;
  }
  return text.size();
}

std::string escaped_for_pattern(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::ispunct(static_cast<unsigned char>(c))) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace longshadow
