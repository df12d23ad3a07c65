#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace longshadow {

/// `longshadow analyze ARGUMENTS`: the tables on `out`, the JSON into the file that --json names.
/// Returns the exit status 0. Throws boost::program_options::error or std::invalid_argument where
/// the arguments are at fault (exit status 2), FormatError where a file is (1).
int analyze_command(const std::vector<std::string>& arguments, std::ostream& out);

}  // namespace longshadow
