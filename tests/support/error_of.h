#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <utility>

#include "engine/core/error.h"

namespace longshadow::test {

/// The message of the Error that `action` must throw. Any other exception fails the test, and so
/// does a message that is not one line.
template <class Action>
std::string error_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const Error& error) {
    const std::string message = error.what();
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  FAIL("expected an Error, nothing was thrown");
  return {};
}

}  // namespace longshadow::test
