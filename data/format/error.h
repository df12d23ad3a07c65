#pragma once

#include <stdexcept>

namespace longshadow {

/// A run file that cannot be written or read. The message is one line: which file or object, what
/// was expected, what was found. Apart from the engine's errors because the analysis reads run
/// files without the engine.
class FormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace longshadow
