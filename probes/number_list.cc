#include "probes/number_list.h"

#include <charconv>
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

Range parse_range(std::string_view item, const std::string& option, const Counted& of) {
  const std::size_t dash = item.find('-');
  const std::size_t first = parse_number(item.substr(0, dash), option);
  const std::size_t last =
      dash == std::string_view::npos ? first : parse_number(item.substr(dash + 1), option);
  if (last < first) {
    throw UsageError("\"" + option + "\": the span " + std::string(item) +
                     " ends before it begins");
  }
  if (last >= of.count) {
    throw UsageError("\"" + option + "\": " + of.noun + " " + std::to_string(last) +
                     " is outside the " + of.whole + ", which has " + of.noun + "s 0 to " +
                     std::to_string(of.count - 1));
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

std::size_t parse_number(std::string_view text, const std::string& option) {
  const std::optional<std::size_t> value = whole_number(text);
  if (!value) {
    throw UsageError("\"" + option + "\": expected a whole number, found \"" + std::string(text) +
                     "\"");
  }
  return *value;
}

std::vector<Range> parse_ranges(std::string_view list, const std::string& option,
                                const Counted& of) {
  std::vector<Range> ranges;
  while (true) {
    const std::size_t comma = list.find(',');
    ranges.push_back(parse_range(list.substr(0, comma), option, of));
    if (comma == std::string_view::npos) return ranges;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace longshadow
