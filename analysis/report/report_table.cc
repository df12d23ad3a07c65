#include "analysis/report/report_table.h"

#include <cmath>
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

std::string decimal(double value) { return formatted("%.2f", value); }

std::string three_decimals(double value) { return formatted("%.3f", value); }

std::string with_interval(const Estimate& estimate, std::string (*number)(double)) {
  if (std::isnan(estimate.value)) return "-";
  if (std::isnan(estimate.low)) return number(estimate.value);
  return number(estimate.value) + " [" + number(estimate.low) + ", " + number(estimate.high) + "]";
}

std::string influence_text(const InfluenceEstimate& influence) {
  return (influence.is_bound ? "<" : "") + with_interval(influence.estimate, scientific);
}

std::string distance_text(const DistanceBin& bin) {
  return std::to_string(bin.begin) + "-" + std::to_string(bin.end - 1);
}

std::string left(const std::string& text, std::size_t width) {
  return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
}

std::string right(const std::string& text, std::size_t width) {
  return std::string(text.size() < width ? width - text.size() : 1, ' ') + text;
}

}  // namespace longshadow
