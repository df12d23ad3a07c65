#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "analysis/results/influence_report.h"
#include "analysis/statistics/measurements.h"
#include "analysis/statistics/statistics.h"

// A table of the report: its exact entries, and the views of them that people read.
namespace longshadow {

/// One place of a table: nothing where nothing applies, else a text, a count, a number, a number
/// with its interval, an influence, a range. A number that is not known is NaN.
using Entry = std::variant<std::monostate, std::string, std::int64_t, double, Estimate,
                           InfluenceEstimate, DistanceBin>;

/// How people read a number; `probability` is for p-values, `percent` for shares.
enum class Format { plain, scientific, decimal, three_decimals, percent, probability };

/// A column names its row (`key`), says something of it (`value`), or spells other columns for
/// people (`label`), so that views alone have it.
enum class Role { key, value, label };

struct Column {
  /// The member of a row's JSON that the column is, or of its bin's. Slashes lead into members of
  /// members: "near/mean_nats". Empty in a bin: the numbers are the bin's own members.
  std::string path;
  Format format = Format::plain;
  std::string unit{};  ///< "nats"; empty for counts, shares, correlations and texts
  Role role = Role::value;
  std::optional<std::size_t> bin{};  ///< index of Table::bins, where the column is of one
};

enum class Align { left, right };

/// The part of a number with an interval that a view shows.
enum class Part { whole, value, low, high };

inline constexpr std::size_t kNoColumn = SIZE_MAX;

/// A column of a view.
struct Shown {
  std::size_t column;  ///< of the table, in its first bin; kNoColumn: `text` in every line
  std::string head;
  Align align;
  std::size_t width;  ///< characters
  Part part = Part::whole;
  std::size_t row = 0;   ///< how many rows behind the line's row the cell stands
  std::size_t span = 1;  ///< columns that the head is of; those that it covers have none
  std::string text{};
};

/// A line of a view.
struct Line {
  std::size_t row;
  std::size_t bin = 0;  ///< columns of the table's first bin stand for this one's
  std::string label;    ///< in the place of the first cell, unless empty
};

/// Cells of a table that people read side by side.
struct View {
  std::string before;  ///< a paragraph above; lines end with a line feed
  std::string title;   ///< a line above the heads; empty: the first head is the title
  std::vector<Shown> shown;
  std::vector<std::vector<Shown>> under;  ///< lines below each line, unless all numbers are unknown
  std::vector<Line> lines;
  std::string after;       ///< lines below, with their line feeds
  std::size_t indent = 2;  ///< spaces before the first cell of a line
};

struct Table {
  std::string name;  ///< unlike any other's of the report but for other documents
  std::string path;  ///< the member of the section's JSON that its rows are, as in Column
  /// Columns that are of bins come behind the others, as many for each bin, in the bins' order.
  std::vector<Column> columns{};
  std::string counted{};            ///< what bins count, the member of a bin's JSON: "distance"
  std::vector<DistanceBin> bins{};  ///< none in a table without bins
  std::vector<std::vector<Entry>> rows{};
  std::vector<View> views{};

  /// Index of the column of this path (Column::path), one that is of no bin or of this one. Both
  /// throw std::invalid_argument where there is none.
  std::size_t find(const std::string& column) const;
  std::size_t find_in_bin(const std::string& column, std::size_t bin = 0) const;

  /// A line for each row.
  std::vector<Line> all_rows() const;

  /// Appends these columns for each of the bins.
  void add_for_each_bin(const std::vector<Column>& of_bin);

 private:
  std::size_t find(const std::string& column, std::optional<std::size_t> bin) const;
};

/// Makes an entry of a count.
Entry count(std::size_t n);

/// Columns of a view that stand at the left or the right of their width.
Shown left_column(std::size_t column, std::string head, std::size_t width);
Shown right_column(std::size_t column, std::string head, std::size_t width);

/// Makes a column, at the left of its width, that says this text in every line and has no head.
Shown text_column(std::string text, std::size_t width);

/// Spells the entries of a view of the table: for each of its lines, and for those under them, a
/// text for each of View::shown.
std::vector<std::vector<std::string>> spelled(const Table& table, const View& view);

}  // namespace longshadow
