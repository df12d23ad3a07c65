#include "analysis/report/table.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "analysis/report/number_text.h"

namespace longshadow {

namespace {

constexpr const char* kUnknown = "-";

std::string number_text(double value, Format format) {
  if (std::isnan(value)) return kUnknown;
  switch (format) {
    case Format::plain:
      return formatted("%g", value);
    case Format::scientific:
      return scientific(value);
    case Format::decimal:
      return formatted("%.2f", value);
    case Format::three_decimals:
      return formatted("%.3f", value);
    case Format::percent:
      return formatted("%.0f%%", 100 * value);
    case Format::probability:
      return value < 0.001 ? "<0.001" : formatted("%.3f", value);
  }
  throw std::invalid_argument("number_text: expected a format, found none of them");
}

/// Spells "value [low, high]", or the part of it that is known.
std::string interval_text(const Estimate& estimate, Format format) {
  const std::string value = number_text(estimate.value, format);
  if (std::isnan(estimate.value) || std::isnan(estimate.low)) return value;
  return value + " [" + number_text(estimate.low, format) + ", " +
         number_text(estimate.high, format) + "]";
}

/// Spells an entry in one format.
struct Speller {
  Format format;
  Part part;

  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(std::int64_t count) const { return std::to_string(count); }
  std::string operator()(double number) const { return number_text(number, format); }
  std::string operator()(const DistanceBin& range) const { return range_text(range); }
  std::string operator()(const Estimate& estimate) const {
    switch (part) {
      case Part::whole:
        return interval_text(estimate, format);
      case Part::value:
        return number_text(estimate.value, format);
      case Part::low:
        return number_text(estimate.low, format);
      case Part::high:
        return number_text(estimate.high, format);
    }
    throw std::invalid_argument("Speller: expected a part of a number, found none of them");
  }
  /// Spells an influence, a bound with < before it.
  std::string operator()(const InfluenceEstimate& influence) const {
    const bool is_bound = influence.is_bound && (part == Part::whole || part == Part::value);
    return (is_bound ? "<" : "") + (*this)(influence.estimate);
  }
};

std::string spell(const Table& table, const Shown& shown, const Line& line) {
  if (shown.column == kNoColumn) return shown.text;
  const Column& first = table.columns[shown.column];
  const std::size_t of_bins = static_cast<std::size_t>(
      std::count_if(table.columns.begin(), table.columns.end(),
                    [](const Column& column) { return column.bin == std::size_t{0}; }));
  const std::size_t column = shown.column + (first.bin ? line.bin * of_bins : 0);
  return std::visit(Speller{first.format, shown.part}, table.rows[line.row + shown.row][column]);
}

bool says_nothing(const std::vector<Shown>& columns, const std::vector<std::string>& texts) {
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (columns[i].column != kNoColumn && texts[i] != kUnknown) return false;
  }
  return true;
}

}  // namespace

std::size_t Table::find(const std::string& column, std::optional<std::size_t> bin) const {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const Column& one) {
    return one.path == column && one.bin == bin;
  });
  if (found == columns.end()) {
    throw std::invalid_argument("table " + name + ": expected a column " + column + ", found none");
  }
  return static_cast<std::size_t>(found - columns.begin());
}

std::size_t Table::find(const std::string& column) const { return find(column, std::nullopt); }

std::size_t Table::find_in_bin(const std::string& column, std::size_t bin) const {
  return find(column, std::optional(bin));
}

std::vector<Line> Table::all_rows() const {
  std::vector<Line> lines;
  for (std::size_t row = 0; row < rows.size(); ++row) lines.push_back({row, 0, ""});
  return lines;
}

void Table::add_for_each_bin(const std::vector<Column>& of_bin) {
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    for (const Column& column : of_bin) columns.emplace_back(column).bin = bin;
  }
}

Entry count(std::size_t n) { return static_cast<std::int64_t>(n); }

Shown left_column(std::size_t column, std::string head, std::size_t width) {
  return {column, std::move(head), Align::left, width};
}

Shown right_column(std::size_t column, std::string head, std::size_t width) {
  return {column, std::move(head), Align::right, width};
}

Shown text_column(std::string text, std::size_t width) {
  Shown shown = left_column(kNoColumn, "", width);
  shown.text = std::move(text);
  return shown;
}

std::vector<std::vector<std::string>> spelled(const Table& table, const View& view) {
  std::vector<std::vector<std::string>> lines;
  for (const Line& line : view.lines) {
    std::vector<std::string>& texts = lines.emplace_back();
    for (const Shown& shown : view.shown) texts.push_back(spell(table, shown, line));
    if (!line.label.empty()) texts.front() = line.label;
    for (const std::vector<Shown>& columns : view.under) {
      std::vector<std::string> below;
      for (const Shown& shown : columns) below.push_back(spell(table, shown, line));
      if (!says_nothing(columns, below)) lines.push_back(std::move(below));
    }
  }
  return lines;
}

}  // namespace longshadow
