#pragma once

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <string>

namespace longshadow {

enum class ProgressStyle {
  bar,    ///< one line that is rewritten: for a terminal
  plain,  ///< a line now and then: for logs
  none,
};

/// Reads auto (bar where standard error is a terminal, else plain), plain or none.
/// Throws UsageError.
ProgressStyle parse_progress_style(const std::string& text);

/// Tells how far a long phase is: share done, rate and time left.
class Progress {
 public:
  /// `what` names the phase and `unit` what is counted, in the plural: "counterfactuals".
  /// `before` of the total were done when it began.
  Progress(std::ostream& out, ProgressStyle style, std::string what, std::string unit,
           std::size_t total, std::size_t before = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of the total are done by now.
  void update(std::size_t done);
  double seconds() const;

 private:
  using Clock = std::chrono::steady_clock;

  void print(std::size_t done, bool last);

  std::ostream& out_;
  ProgressStyle style_;
  std::string what_;
  std::string unit_;
  std::size_t total_;
  std::size_t before_;
  std::size_t done_ = 0;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point last_print_ = begin_;
};

}  // namespace longshadow
