#pragma once

#include <iosfwd>
#include <string>

#include "analysis/report/report.h"

// The printers of a report. analysis/inspect has another, for its page.
namespace longshadow {

/// Prints the views of the tables, aligned, about 100 columns wide.
void print_text(std::ostream& out, const Report& report);

/// Writes sections, facts and tables as JSON, UTF-8; an unknown number is null.
std::string to_json(const Report& report);

/// Writes a line for each entry of each table; data/FORMAT.md says what stands in it.
std::string to_csv(const Report& report);

}  // namespace longshadow
