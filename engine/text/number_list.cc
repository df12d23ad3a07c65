#include "engine/text/number_list.h"

#include <charconv>
#include <limits>
#include <utility>

#include "engine/core/error.h"

namespace longshadow {
namespace {

/// The number that the text begins with, and what stands behind it; nothing where there is none.
template <class Number>
std::optional<std::pair<Number, std::string_view>> leading_number(std::string_view text) {
  Number value{};
  const char* const last = text.data() + text.size();
  const auto [end, failure] = std::from_chars(text.data(), last, value);
  if (failure != std::errc()) return {};
  return std::pair(value, std::string_view(end, static_cast<std::size_t>(last - end)));
}

Range parse_range(std::string_view item) {
  const std::size_t dash = item.find('-');
  const std::size_t first = parse_number(item.substr(0, dash));
  const std::size_t last =
      dash == std::string_view::npos ? first : parse_number(item.substr(dash + 1));
  if (last < first) {
    throw UsageError("the span " + std::string(item) + " ends before it begins");
  }
  if (last == std::numeric_limits<std::size_t>::max()) {
    throw UsageError("expected smaller numbers, found " + std::string(item));
  }
  return {first, last + 1};
}

}  // namespace

std::optional<std::size_t> whole_number(std::string_view text) {
  const auto number = leading_number<std::size_t>(text);
  if (!number || !number->second.empty()) return {};
  return number->first;
}

std::optional<double> percentage(std::string_view text) {
  const auto number = leading_number<double>(text);
  if (!number || number->second != "%" || !(number->first > 0 && number->first <= 100)) return {};
  return number->first;
}

std::size_t parse_number(std::string_view text) {
  const std::optional<std::size_t> value = whole_number(text);
  if (!value) throw UsageError("expected a whole number, found \"" + std::string(text) + "\"");
  return *value;
}

std::vector<Range> parse_ranges(std::string_view list) {
  std::vector<Range> ranges;
  while (true) {
    const std::size_t comma = list.find(',');
    ranges.push_back(parse_range(list.substr(0, comma)));
    if (comma == std::string_view::npos) return ranges;
    list.remove_prefix(comma + 1);
  }
}

NumberList parse_number_list(const std::string& text) {
  return {text, text == "all" ? std::vector<Range>{} : parse_ranges(text)};
}

void check_ranges(std::span<const Range> ranges, const Counted& of) {
  for (const Range& range : ranges) {
    if (range.end <= of.count) continue;
    throw UsageError(std::string(of.noun) + " " + std::to_string(range.end - 1) +
                     " is outside the " + of.whole + ", which has " + of.noun + "s 0 to " +
                     std::to_string(of.count - 1));
  }
}

}  // namespace longshadow
