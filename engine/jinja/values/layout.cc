#include "engine/jinja/values/layout.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "engine/jinja/values/strings.h"
#include "engine/jinja/values/text.h"

namespace longshadow::jinja {
namespace {

std::string with_commas(std::string digits) {
  std::size_t point = digits.find_first_not_of("0123456789");
  if (point == std::string::npos) point = digits.size();
  for (; point > 3; point -= 3) digits.insert(point - 3, ",");
  return digits;
}

/// The digits of a number without its sign.
std::string whole_digits(std::int64_t value, char type, bool is_alternate) {
  const auto magnitude = value < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(value)
                                   : static_cast<std::uint64_t>(value);
  char buffer[80];
  if (type == 'b') {
    std::string bits;
    for (std::uint64_t rest = magnitude; rest != 0 || bits.empty(); rest /= 2) {
      bits.insert(bits.begin(), static_cast<char>('0' + rest % 2));
    }
    return is_alternate ? "0b" + bits : bits;
  }
  const char* format = type == 'x' ? "%lx" : type == 'X' ? "%lX" : type == 'o' ? "%lo" : "%lu";
  std::snprintf(buffer, sizeof buffer, format, static_cast<unsigned long>(magnitude));
  if (is_alternate && type != 'd') return std::string{'0', type} + buffer;
  return buffer;
}

std::string real_digits(double magnitude, char type, int precision, bool is_alternate) {
  if (!std::isfinite(magnitude)) {
    const bool is_upper = type == 'F' || type == 'E' || type == 'G';
    return std::isnan(magnitude) ? (is_upper ? "NAN" : "nan") : (is_upper ? "INF" : "inf");
  }
  const std::string format = std::string("%") + (is_alternate ? "#" : "") + ".*" + type;
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, format.c_str(), precision, magnitude);
  return buffer;
}

/// A number's sign and digits in the width.
std::string laid_out_digits(Heap& heap, bool is_negative, std::string digits,
                            const Layout& layout) {
  if (layout.has_commas) digits = with_commas(std::move(digits));
  std::string sign = is_negative ? "-" : "";
  if (!is_negative && layout.sign != '-') sign = std::string(1, layout.sign);
  const char align = layout.align == 0 ? '>' : layout.align;
  if (align == '=') {
    const auto rest = layout.width - static_cast<std::int64_t>(sign.size());
    return sign + padded(heap, digits, Side::right, rest, layout.fill);
  }
  const Side side = align == '<' ? Side::left : align == '>' ? Side::right : Side::both;
  return padded(heap, sign + digits, side, layout.width, layout.fill);
}

}  // namespace

bool is_one_of(char type, std::string_view types) {
  return type != 0 && types.find(type) != std::string_view::npos;
}

std::string laid_out_whole(Heap& heap, std::int64_t value, const Layout& layout) {
  const char type = is_one_of(layout.type, "boxX") ? layout.type : 'd';
  std::string digits = whole_digits(value, type, layout.is_alternate);
  const auto least = static_cast<std::size_t>(std::max(layout.precision, 0));
  if (digits.size() < least) digits.insert(0, least - digits.size(), '0');
  return laid_out_digits(heap, value < 0, std::move(digits), layout);
}

std::string laid_out_real(Heap& heap, double value, const Layout& layout) {
  std::string suffix;
  char type = layout.type;
  int precision = layout.precision < 0 ? 6 : layout.precision;
  if (type == '%') {
    value *= 100;
    suffix = "%";
    type = 'f';
  }
  const bool is_negative = std::signbit(value) && !std::isnan(value);
  const double magnitude = std::abs(value);
  std::string digits;
  if (type == 0 && layout.precision < 0) {
    digits = float_text(magnitude);
  } else {
    if (type == 0) type = 'g';
    if ((type == 'g' || type == 'G') && precision == 0) precision = 1;
    digits = real_digits(magnitude, type, precision, layout.is_alternate);
  }
  return laid_out_digits(heap, is_negative, digits + suffix, layout);
}

std::string laid_out_text(Heap& heap, std::string text, const Layout& layout) {
  if (layout.precision >= 0) {
    const CodePoints characters(heap, text);
    text = characters.between(
        0, std::min(static_cast<std::size_t>(layout.precision), characters.size()));
  }
  const Side side = layout.align == '>'   ? Side::right
                    : layout.align == '^' ? Side::both
                                          : Side::left;
  return padded(heap, text, side, layout.width, layout.fill);
}

}  // namespace longshadow::jinja
