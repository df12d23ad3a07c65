#include "probes/runs/progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <ostream>
#include <utility>

#include "engine/core/error.h"

namespace longshadow {
namespace {

using namespace std::chrono_literals;

std::string duration(double seconds) {
  const auto whole = static_cast<long>(std::lround(seconds));
  char text[48];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%ld s", whole);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
  }
  return text;
}

}  // namespace

ProgressStyle parse_progress_style(const std::string& text) {
  if (text == "auto") return isatty(STDERR_FILENO) ? ProgressStyle::bar : ProgressStyle::plain;
  if (text == "plain") return ProgressStyle::plain;
  if (text == "none") return ProgressStyle::none;
  throw UsageError("expected auto, plain or none");
}

Progress::Progress(std::ostream& out, ProgressStyle style, std::string what, std::string unit,
                   std::size_t total, std::size_t before)
    : out_(out),
      style_(style),
      what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      before_(before) {}

Progress::~Progress() {
  if (style_ == ProgressStyle::bar && done_ > 0 && done_ < total_) out_ << '\n';
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - begin_).count();
}

void Progress::update(std::size_t done) {
  done_ = done;
  if (style_ == ProgressStyle::none) return;
  const bool last = done == total_;
  const auto interval = style_ == ProgressStyle::bar ? 200ms : 10s;
  if (!last && Clock::now() - last_print_ < interval) return;
  last_print_ = Clock::now();
  print(done, last);
}

void Progress::print(std::size_t done, bool last) {
  const double elapsed = seconds();
  const double rate = static_cast<double>(done - before_) / elapsed;
  char line[160];
  std::snprintf(line, sizeof line, "%-16s %6zu/%zu %s  %3.0f%%  %.*f/s  %s %s", what_.c_str(), done,
                total_, unit_.c_str(),
                100.0 * static_cast<double>(done) / static_cast<double>(total_), rate < 100 ? 2 : 0,
                rate, last ? "in" : "left",
                duration(last ? elapsed : static_cast<double>(total_ - done) / rate).c_str());
  if (style_ == ProgressStyle::bar) {
    out_ << "\r\033[K" << line << (last ? "\n" : "") << std::flush;
  } else {
    out_ << line << std::endl;
  }
}

}  // namespace longshadow
