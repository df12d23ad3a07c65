#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace longshadow {

/// Runs `longshadow analyze ARGUMENTS`: prints the tables on `out`, and writes them as JSON and as
/// CSV into the files that --json and --csv name.
/// Returns the exit status 0. Throws boost::program_options::error or std::invalid_argument where
/// the arguments are at fault (exit status 2), FormatError where a file is (1).
int analyze_command(const std::vector<std::string>& arguments, std::ostream& out);

}  // namespace longshadow
