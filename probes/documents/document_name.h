#pragma once

#include <span>
#include <string>
#include <vector>

namespace longshadow {

/// What a run calls the documents of these paths: each the last part of its path, "stdin" for "-",
/// "fd63" for /dev/fd/63; where that is several documents' name, with as many folders before it as
/// tell them apart, as in "1859+darwin.txt". Names are of one line and have no slash, whatever the
/// paths hold. Throws UsageError where one file is given twice.
std::vector<std::string> document_names(std::span<const std::string> paths);

}  // namespace longshadow
