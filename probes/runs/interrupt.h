#pragma once

#include <stdexcept>
#include <string>

namespace longshadow {

/// Thrown where work stops because SIGINT or SIGTERM arrived; `signal` is its number.
struct Interrupted : std::runtime_error {
  Interrupted(int number, const std::string& what) : std::runtime_error(what), signal(number) {}
  int signal;
};

/// From here on the first SIGINT or SIGTERM is only noted (a second one ends the process).
/// `advice` is what is said after "interrupted".
void note_interrupts(const char* advice = "");

/// Throws Interrupted if a signal was noted. Long loops call it between steps.
void check_interrupt();

}  // namespace longshadow
