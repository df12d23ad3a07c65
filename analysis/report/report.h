#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "analysis/report/table.h"
#include "analysis/results/analyze.h"

namespace longshadow {

/// A member of a section's JSON that is in no table. The path is as a column's.
struct Fact {
  std::string path;
  Entry value;
};

/// Tables that belong together: those of a document, say.
struct Section {
  std::string key;             ///< the member of the report's JSON that it is, or stands in
  bool is_in_list = false;     ///< whether that member is an array of sections
  std::string name{};          ///< a document's, or what else the tables are of
  std::string preface{};       ///< what readers must know of this and the sections like it
  std::string introduction{};  ///< lines above its tables
  std::vector<Fact> facts{};
  std::vector<Table> tables{};
};

/// The results of an analysis, as tables.
struct Report {
  std::string model;
  AnalyzeOptions options;
  std::vector<Section> sections;
};

/// Makes the tables, once for all printers.
Report make_report(const Analysis& analysis);

// The printers. analysis/inspect has another, for its page.

/// Prints the views of the tables, aligned, about 100 columns wide.
void print_text(std::ostream& out, const Report& report);

/// Writes sections, facts and tables as JSON, UTF-8; an unknown number is null.
std::string to_json(const Report& report);

/// Writes a line for each entry of each table; data/FORMAT.md says what stands in it.
std::string to_csv(const Report& report);

}  // namespace longshadow
