#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string>

#include "engine/core/error.h"

/// Contracts: what a header states of an operation's arguments, as checks. They run in Debug builds
/// and under sanitizers, which define LONGSHADOW_CONTRACTS; in other builds they compile to
/// nothing. The first two arguments of each check name the operation and what is checked. An
/// operation x() first calls its check_x(), on whichever device it runs. What a stranger may get
/// wrong is no contract: every build refuses it, with a plain Error.
namespace longshadow {

#ifdef LONGSHADOW_CONTRACTS
inline constexpr bool kContracts = true;
#else
inline constexpr bool kContracts = false;
#endif

/// A caller's mistake: the operation, the argument, what was found and what is expected.
class ContractError : public Error {
 public:
  using Error::Error;
};

/// Throws ContractError: "rms_norm: w is [1, 3], expected [1, 4]".
[[noreturn]] inline void fail_contract(const char* operation, const std::string& argument,
                                       const std::string& found, const std::string& expected) {
  throw ContractError(std::string(operation) + ": " + argument + " is " + found + ", expected " +
                      expected);
}

inline void require_that(bool holds, const char* operation, const char* argument, const char* found,
                         const char* expected) {
  if constexpr (kContracts) {
    if (!holds) fail_contract(operation, argument, found, expected);
  }
}

inline std::string shape_text(std::size_t rows, std::size_t cols) {
  return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
}

inline void require_equal(const char* operation, const char* argument, std::size_t found,
                          std::size_t expected) {
  if constexpr (kContracts) {
    if (found == expected) return;
    fail_contract(operation, argument, std::to_string(found), std::to_string(expected));
  }
}

inline void require_at_least(const char* operation, const char* argument, std::size_t found,
                             std::size_t least) {
  if constexpr (kContracts) {
    if (found >= least) return;
    fail_contract(operation, argument, std::to_string(found), "at least " + std::to_string(least));
  }
}

inline void require_at_most(const char* operation, const char* argument, std::size_t found,
                            std::size_t most) {
  if constexpr (kContracts) {
    if (found <= most) return;
    fail_contract(operation, argument, std::to_string(found), "at most " + std::to_string(most));
  }
}

inline void require_multiple(const char* operation, const char* argument, std::size_t found,
                             std::size_t of) {
  if constexpr (kContracts) {
    if (found % of == 0) return;
    fail_contract(operation, argument, std::to_string(found),
                  "a multiple of " + std::to_string(of));
  }
}

inline void require_divisor(const char* operation, const char* argument, std::size_t found,
                            std::size_t of) {
  if constexpr (kContracts) {
    if (found != 0 && of % found == 0) return;
    fail_contract(operation, argument, std::to_string(found), "a divisor of " + std::to_string(of));
  }
}

/// Requires every element to be in [0, limit).
template <std::integral T>
void require_below(const char* operation, const char* argument, std::span<const T> found,
                   std::size_t limit) {
  if constexpr (kContracts) {
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i] >= 0 && static_cast<std::size_t>(found[i]) < limit) continue;
      fail_contract(operation, argument + ("[" + std::to_string(i) + "]"), std::to_string(found[i]),
                    "at least 0 and below " + std::to_string(limit));
    }
  }
}

/// Requires every element but the first to be larger than the one before.
template <std::integral T>
void require_ascending(const char* operation, const char* argument, std::span<const T> found) {
  if constexpr (kContracts) {
    for (std::size_t i = 1; i < found.size(); ++i) {
      if (found[i - 1] < found[i]) continue;
      fail_contract(operation, argument + ("[" + std::to_string(i) + "]"), std::to_string(found[i]),
                    "more than " + std::to_string(found[i - 1]));
    }
  }
}

/// Requires a view of a matrix, typed or not, [rows, cols] whose rows do not overlap.
template <class View>
void require_shape(const char* operation, const char* argument, const View& found, std::size_t rows,
                   std::size_t cols) {
  if constexpr (kContracts) {
    if (found.rows != rows || found.cols != cols) {
      fail_contract(operation, argument, shape_text(found.rows, found.cols),
                    shape_text(rows, cols));
    }
    if (rows > 1 && found.stride < cols) {
      fail_contract(operation, argument + std::string(".stride"), std::to_string(found.stride),
                    "at least " + std::to_string(cols));
    }
  }
}

/// Requires a matrix of `cols` columns and at least `rows` rows.
template <class View>
void require_rows(const char* operation, const char* argument, const View& found, std::size_t rows,
                  std::size_t cols) {
  if constexpr (kContracts) {
    if (found.rows >= rows && found.cols == cols) return;
    fail_contract(operation, argument, shape_text(found.rows, found.cols),
                  shape_text(rows, cols) + " or more rows");
  }
}

/// Requires rows that follow one another without gaps.
template <class View>
void require_dense(const char* operation, const char* argument, const View& found) {
  if constexpr (kContracts) {
    if (found.stride == found.cols) return;
    fail_contract(operation, argument + std::string(".stride"), std::to_string(found.stride),
                  std::to_string(found.cols) + ", its cols");
  }
}

}  // namespace longshadow
