#include "probes/runs/interrupt.h"

#include <csignal>
#include <string>

namespace longshadow {
namespace {

volatile std::sig_atomic_t noted_signal = 0;
const char* noted_advice = "";

extern "C" void note_signal(int number) {
  noted_signal = number;
  std::signal(number, SIG_DFL);
}

}  // namespace

void note_interrupts(const char* advice) {
  noted_advice = advice;
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
}

void check_interrupt() {
  if (noted_signal != 0) throw Interrupted(noted_signal, std::string("interrupted") + noted_advice);
}

}  // namespace longshadow
