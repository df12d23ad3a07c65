#pragma once

#include <string>

#include "analysis/report/report.h"

namespace longshadow {

/// What the page shows of a report, as JSON that may stand inside a script element: for each
/// section its texts and the views of its tables, spelled as the text has them. A view has `heads`,
/// each of `span` columns, whose texts stand at the `end` of their column or at its start, and
/// `lines` of texts. report.js reads it.
std::string report_json(const Report& report);

}  // namespace longshadow
