#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/jinja/values/heap.h"

namespace longshadow::jinja {

/// How Python lays out one value in a text: what `%` and format() have in common.
struct Layout {
  std::string fill = " ";
  char align = 0;             ///< < > = (the fill behind the sign) or ^; 0: the value's own
  char sign = '-';            ///< of numbers that are not negative: + or a blank; -: none
  bool is_alternate = false;  ///< 0x before hexadecimal digits, and the like
  bool has_commas = false;    ///< between thousands
  std::int64_t width = 0;     ///< code points at least
  int precision = -1;         ///< below 0: none is given
  char type = 0;              ///< the directive's letter, 0 where it has none
};

bool is_one_of(char type, std::string_view types);

/// By the types b, d, i, n, o, u, x and X; 0 is d.
std::string laid_out_whole(Heap& heap, std::int64_t value, const Layout& layout);
/// By the types e, f, g, their capitals and %; 0 is repr() without a precision.
std::string laid_out_real(Heap& heap, double value, const Layout& layout);
std::string laid_out_text(Heap& heap, std::string text, const Layout& layout);

}  // namespace longshadow::jinja
