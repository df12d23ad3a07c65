#pragma once

#include <stdexcept>

namespace longshadow {

/// Thrown where work stops because SIGINT or SIGTERM arrived; `signal` is its number.
struct Interrupted : std::runtime_error {
  explicit Interrupted(int number)
      : std::runtime_error("interrupted: nothing was written"), signal(number) {}
  int signal;
};

/// From here on the first SIGINT or SIGTERM is only noted (a second one ends the process).
void note_interrupts();

/// Throws Interrupted if a signal was noted. Long loops call it between steps.
void check_interrupt();

}  // namespace longshadow
