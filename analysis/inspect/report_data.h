#pragma once

#include <string>

#include "analysis/report/report.h"

namespace longshadow {

/// Writes a report as JSON that may stand inside a script element: for each section its texts and
/// the views of its tables, spelled as print_text() does. A view has `heads`, each of `span`
/// columns; `ends`, whether a column's texts stand at its end; and `lines` of texts. report.js
/// reads it.
std::string report_json(const Report& report);

}  // namespace longshadow
