#pragma once

#include <string>

#include "data/format/run_file.h"

namespace longshadow {

/// Writes the run, and its report, as one HTML page that needs nothing else: no network, no other
/// file. A document takes under 5 MB where some PageDetail allows it, with the finest that does.
/// Nothing in the run can run as code in it: its text is data to the page's script, which writes it
/// as text alone, and the page's policy lets no other script run.
std::string render_page(const RunFile& run);

}  // namespace longshadow
