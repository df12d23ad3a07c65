#include "probes/subjects.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <random>
#include <string_view>

#include "engine/core/error.h"

namespace longshadow {
namespace {

std::size_t parse_number(std::string_view text, const std::string& whole) {
  std::size_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) {
    throw UsageError("\"" + whole + "\": expected a whole number, found \"" + std::string(text) +
                     "\"");
  }
  return value;
}

Range parse_range(std::string_view item, const std::string& whole, std::size_t context) {
  const std::size_t dash = item.find('-');
  const std::size_t first = parse_number(item.substr(0, dash), whole);
  const std::size_t last =
      dash == std::string_view::npos ? first : parse_number(item.substr(dash + 1), whole);
  if (last < first) {
    throw UsageError("\"" + whole + "\": the span " + std::string(item) + " ends before it begins");
  }
  if (last >= context) {
    throw UsageError("\"" + whole + "\": token " + std::to_string(last) +
                     " is outside the context, which has tokens 0 to " +
                     std::to_string(context - 1));
  }
  return {first, last + 1};
}

/// Draws without the standard distributions, whose results differ between libraries: the same seed
/// must give the same subjects everywhere.
std::vector<std::size_t> sample(std::size_t count, std::size_t population, std::uint64_t seed) {
  std::vector<std::size_t> tokens(population);
  std::iota(tokens.begin(), tokens.end(), std::size_t{0});
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    // The bias of the remainder is below population / 2^64.
    std::swap(tokens[i], tokens[i + random() % (population - i)]);
  }
  tokens.resize(count);
  std::sort(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace

std::vector<Subject> parse_subjects(const std::string& text, std::size_t context,
                                    std::uint64_t seed) {
  std::vector<Subject> subjects;
  if (text == "all") {
    for (std::size_t token = 0; token < context; ++token) {
      subjects.push_back({{token, token + 1}, "all"});
    }
    return subjects;
  }
  const std::string_view view = text;
  if (view.starts_with("sample:")) {
    const std::size_t count = parse_number(view.substr(7), text);
    if (count == 0 || count > context) {
      throw UsageError("\"" + text + "\": expected between 1 and " + std::to_string(context) +
                       " subjects, one per token of the context");
    }
    for (const std::size_t token : sample(count, context, seed)) {
      subjects.push_back({{token, token + 1}, "sample"});
    }
    return subjects;
  }
  if (view.starts_with("list:")) {
    std::string_view rest = view.substr(5);
    while (true) {
      const std::size_t comma = rest.find(',');
      subjects.push_back({parse_range(rest.substr(0, comma), text, context), "list"});
      if (comma == std::string_view::npos) return subjects;
      rest.remove_prefix(comma + 1);
    }
  }
  throw UsageError("--subjects \"" + text +
                   "\": expected all, sample:N or list: with tokens and spans, as in list:3,7-9");
}

EvictAt parse_evict_at(const std::string& text) {
  if (text == "end") return {EvictAt::Kind::end, 0};
  if (text.starts_with("lag:")) {
    return {EvictAt::Kind::lag, parse_number(std::string_view(text).substr(4), text)};
  }
  throw UsageError("--evict-at \"" + text + "\": expected end or lag:W, as in lag:16");
}

std::size_t start_of(const EvictAt& evict_at, const Range& subject, std::size_t context) {
  return evict_at.kind == EvictAt::Kind::end ? context : subject.end + evict_at.lag;
}

std::size_t tokens_needed(const EvictAt& evict_at, std::size_t context, std::size_t horizon) {
  return context + horizon + (evict_at.kind == EvictAt::Kind::end ? 0 : evict_at.lag);
}

}  // namespace longshadow
