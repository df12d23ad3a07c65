#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow {

/// The options of one policy, "window=32,kernel=7". A policy's factory reads each by its name with
/// its default; what is left unread is unknown. All throw UsageError.
class PolicyOptions {
 public:
  /// `policy` is named in messages.
  PolicyOptions(std::string_view policy, std::string_view text);

  std::size_t whole(std::string_view name, std::size_t standard, std::size_t lowest = 0);
  double real(std::string_view name, double standard, double lowest,
              double highest = std::numeric_limits<double>::infinity());
  /// The index of the word given, one of `words`; the first is the default.
  std::size_t choice(std::string_view name, std::span<const std::string_view> words);

  /// Throws for an option that nobody read, and suggests the nearest of those that were.
  void refuse_unknown() const;

 private:
  /// nullptr where the option is not given.
  const std::string* read(std::string_view name);
  [[noreturn]] void refuse(std::string_view name, const std::string& expected,
                           std::string_view found) const;

  std::string policy_;
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string_view> known_;  ///< string literals of the factories
};

}  // namespace longshadow
