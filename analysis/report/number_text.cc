#include "analysis/report/number_text.h"

#include <cstdio>

namespace longshadow {

std::string formatted(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string scientific(double value) {
  if (value == 0) return "0";
  const std::string text = formatted("%.1e", value);
  const std::size_t e = text.find('e');
  return text.substr(0, e + 1) + std::to_string(std::stoi(text.substr(e + 1)));
}

std::string range_text(const DistanceBin& bin) {
  return std::to_string(bin.begin) + "-" + std::to_string(bin.end - 1);
}

}  // namespace longshadow
