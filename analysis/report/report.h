#pragma once

#include <iosfwd>
#include <string>

#include "analysis/results/analyze.h"

namespace longshadow {

/// Aligned tables, about 100 columns wide.
void print_report(std::ostream& out, const Report& report);

/// The same numbers as JSON, UTF-8; NaN is null.
std::string report_json(const Report& report);

/// The same numbers as a table, a line each, with the header sample,table,name,bin_begin,bin_end,
/// n,statistic,value,low,high; what is not known is empty.
std::string report_csv(const Report& report);

}  // namespace longshadow
