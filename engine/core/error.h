#pragma once

#include <stdexcept>
#include <string>

namespace longshadow {

/// Thrown by library code when an input cannot be used. The message is one line: where, what was
/// expected, what was found, and, where there is one, the remedy.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A request that names something impossible (a bad option, a subject out of range): exit status 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace longshadow
