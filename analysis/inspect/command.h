#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace longshadow {

/// Runs `longshadow inspect ARGUMENTS`: writes the page into the new file that -o names, and its
/// size on `out`. Returns the exit status 0. Throws boost::program_options::error or
/// std::invalid_argument where the arguments are at fault (exit status 2), FormatError where a file
/// is (1).
int inspect_command(const std::vector<std::string>& arguments, std::ostream& out);

}  // namespace longshadow
