#include "probes/interrupt.h"

#include <csignal>

namespace longshadow {
namespace {

volatile std::sig_atomic_t noted_signal = 0;

extern "C" void note_signal(int number) {
  noted_signal = number;
  std::signal(number, SIG_DFL);
}

}  // namespace

void note_interrupts() {
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
}

void check_interrupt() {
  if (noted_signal != 0) throw Interrupted(noted_signal);
}

}  // namespace longshadow
