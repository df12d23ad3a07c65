#include <charconv>
#include <cmath>
#include <string>

#include "analysis/report/report.h"

namespace longshadow {

namespace {

/// Writes every digit that tells the double from its neighbours; nothing for NaN.
std::string exact(double value) {
  if (std::isnan(value)) return "";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

/// Puts a text in quotes, as RFC 4180 has it.
std::string quoted(const std::string& text) {
  std::string inside;
  for (const char c : text) inside += c == '"' ? "\"\"" : std::string(1, c);
  return '"' + inside + '"';
}

/// The fields of a line that an entry fills.
struct Fields {
  std::string begin{}, end{};  ///< of a range
  std::string value{}, low{}, high{}, is_bound{};
  std::string text{};
};

struct ToFields {
  Fields operator()(std::monostate) const { return {}; }
  Fields operator()(const std::string& text) const { return {.text = quoted(text)}; }
  Fields operator()(std::int64_t count) const { return {.value = std::to_string(count)}; }
  Fields operator()(double number) const { return {.value = exact(number)}; }
  Fields operator()(const DistanceBin& range) const {
    return {.begin = std::to_string(range.begin), .end = std::to_string(range.end)};
  }
  Fields operator()(const Estimate& estimate) const {
    return {
        .value = exact(estimate.value), .low = exact(estimate.low), .high = exact(estimate.high)};
  }
  Fields operator()(const InfluenceEstimate& influence) const {
    Fields fields = (*this)(influence.estimate);
    fields.is_bound = influence.is_bound ? "1" : "0";
    return fields;
  }
};

/// The columns that name a row: ranges by themselves, the others with spaces between.
struct RowName {
  std::string name;
  Fields range;
};

RowName name_of(const Table& table, const std::vector<Entry>& row) {
  RowName found;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (table.columns[i].role != Role::key) continue;
    if (std::holds_alternative<DistanceBin>(row[i])) {
      found.range = std::visit(ToFields{}, row[i]);
      continue;
    }
    const auto* text = std::get_if<std::string>(&row[i]);
    found.name += (found.name.empty() ? "" : " ") +
                  (text != nullptr ? *text : std::visit(ToFields{}, row[i]).value);
  }
  return found;
}

void add_row(std::string& csv, const std::string& sample, const Table& table,
             const std::vector<Entry>& row) {
  const RowName named = name_of(table, row);
  for (std::size_t i = 0; i < row.size(); ++i) {
    const Column& column = table.columns[i];
    if (column.role != Role::value || std::holds_alternative<std::monostate>(row[i])) continue;
    Fields fields = std::visit(ToFields{}, row[i]);
    if (column.bin) {
      const Fields range = ToFields{}(table.bins[*column.bin]);
      fields.begin = range.begin, fields.end = range.end;
    } else {
      fields.begin = named.range.begin, fields.end = named.range.end;
    }
    const std::string& statistic = column.path.empty() ? table.name : column.path;
    for (const std::string& field :
         {quoted(sample), table.name, quoted(named.name), fields.begin, fields.end, statistic,
          column.unit, fields.value, fields.low, fields.high, fields.is_bound}) {
      csv += field + ',';
    }
    csv += fields.text + '\n';
  }
}

}  // namespace

std::string to_csv(const Report& report) {
  std::string csv =
      "sample,table,name,bin_begin,bin_end,statistic,unit,value,low,high,is_bound,text\n";
  for (const Section& section : report.sections) {
    for (const Table& table : section.tables) {
      for (const std::vector<Entry>& row : table.rows) add_row(csv, section.name, table, row);
    }
  }
  return csv;
}

}  // namespace longshadow
