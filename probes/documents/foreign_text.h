#pragma once

#include <string>
#include <string_view>

namespace longshadow {

/// What a file that is no UTF-8 text looks like, and what makes UTF-8 text of it.
struct ForeignText {
  std::string what;    ///< "UTF-16 (little-endian) text", "a gzip file"
  std::string remedy;  ///< a command, as in "gunzip -c FILE > TEXT"
};

/// A guess from a file's beginning (4 KiB tell enough) and from the bytes around the first that is
/// not UTF-8 or is NUL.
ForeignText guess_foreign_text(std::string_view beginning, std::string_view around);

/// Whether the beginning is that of a PDF file, of which all may be ASCII.
bool is_pdf(std::string_view beginning);

}  // namespace longshadow
