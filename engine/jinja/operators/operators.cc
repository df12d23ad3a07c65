#include "engine/jinja/operators/operators.h"

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "engine/jinja/operators/format.h"
#include "engine/jinja/values/strings.h"

namespace longshadow::jinja {
namespace {

[[noreturn]] void refuse(std::string_view name, const Value& left, const Value& right) {
  throw Error(kind_of(left) + " " + std::string(name) + " " + kind_of(right) + " is not possible");
}

bool are_equal_sequences(Heap& heap, const Sequence& a, const Sequence& b) {
  return a.type == b.type &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [&](const Value& x, const Value& y) { return are_equal(heap, x, y); });
}

bool are_equal_dicts(Heap& heap, const Dict& a, const Dict& b) {
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
           const std::string* key = item.first.text();
           heap.step(key == nullptr ? 0 : key->size() / 64);
           const Value* other = b.find(item.first);
           return other != nullptr && are_equal(heap, item.second, *other);
         });
}

Value whole_arithmetic(std::string_view name, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool fits = true;
  if (name == "+") {
    fits = !__builtin_add_overflow(a, b, &result);
  } else if (name == "-") {
    fits = !__builtin_sub_overflow(a, b, &result);
  } else if (name == "*") {
    fits = !__builtin_mul_overflow(a, b, &result);
  } else if (name == "**") {
    result = 1;
    // Beyond 64 factors only 0, 1 and -1 fit, whose powers repeat.
    const std::int64_t factors = b <= 64 ? b : 64 + b % 2;
    for (std::int64_t i = 0; i < factors && fits; ++i) {
      fits = !__builtin_mul_overflow(result, a, &result);
    }
  } else {  // // and %, of Python's sign
    if (b == 0) throw Error("division by zero");
    fits = b != -1 || !__builtin_sub_overflow(std::int64_t{0}, a, &result);
    if (fits) {
      const std::int64_t remainder = b == -1 ? 0 : a % b;
      const bool is_below = remainder != 0 && (remainder < 0) != (b < 0);
      result = name == "%" ? remainder + (is_below ? b : 0)
                           : (b == -1 ? result : a / b - (is_below ? 1 : 0));
    }
  }
  if (!fits) throw Error("a whole number does not fit 64 bits");
  return result;
}

Value real_arithmetic(std::string_view name, double a, double b) {
  if (name == "+") return a + b;
  if (name == "-") return a - b;
  if (name == "*") return a * b;
  if (name == "**") {
    const double result = std::pow(a, b);
    if (std::isfinite(a) && std::isfinite(b) && !std::isfinite(result)) {
      throw Error("a power is not a finite number");
    }
    return result;
  }
  if (b == 0) throw Error("division by zero");
  if (name == "/") return a / b;
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  if (name == "%") return remainder == 0 ? std::copysign(0.0, b) : remainder;
  return std::round((a - remainder) / b);
}

Value number_arithmetic(std::string_view name, const Value& left, const Value& right) {
  const std::string what(name);
  if (is_integral(left) && is_integral(right) && name != "/" &&
      (name != "**" || integer_of(right, what) >= 0)) {
    return whole_arithmetic(name, integer_of(left, what), integer_of(right, what));
  }
  return real_arithmetic(name, real_of(left, what), real_of(right, what));
}

Value concatenation(Heap& heap, const Value& left, const Value& right) {
  const auto* a = left.get_if<Text>();
  const auto* b = right.get_if<Text>();
  if (a != nullptr && b != nullptr) {
    const bool is_markup = a->is_markup || b->is_markup;
    const auto part = [&](const Text& text) {
      return is_markup && !text.is_markup ? html_escaped(*text.utf8) : *text.utf8;
    };
    return heap.text(part(*a) + part(*b), is_markup);
  }
  const Sequence* first = left.sequence();
  const Sequence* second = right.sequence();
  if (first == nullptr || second == nullptr || first->type != second->type ||
      first->type == Sequence::Type::view) {
    refuse("+", left, right);
  }
  heap.step(first->items.size() + second->items.size());
  std::vector<Value> items = first->items;
  items.insert(items.end(), second->items.begin(), second->items.end());
  return first->type == Sequence::Type::list ? heap.list(std::move(items))
                                             : heap.tuple(std::move(items));
}

/// "ab" * 3, [0] * 3.
Value repetition(Heap& heap, const Value& value, std::int64_t times) {
  const auto count = static_cast<std::size_t>(std::max(times, std::int64_t{0}));
  if (const auto* text = value.get_if<Text>()) {
    std::string all;
    for (std::size_t i = 0; i < count && !text->utf8->empty(); ++i) {
      heap.charge(text->utf8->size());
      all += *text->utf8;
    }
    return heap.text(std::move(all), text->is_markup);
  }
  const Sequence& sequence = *value.sequence();
  std::vector<Value> items;
  for (std::size_t i = 0; i < count && !sequence.items.empty(); ++i) {
    heap.step(sequence.items.size());
    heap.charge(sequence.items.size() * sizeof(Value));
    items.insert(items.end(), sequence.items.begin(), sequence.items.end());
  }
  return sequence.type == Sequence::Type::list ? heap.list(std::move(items))
                                               : heap.tuple(std::move(items));
}

bool repeats(const Value& value) {
  const Sequence* sequence = value.sequence();
  return value.text() != nullptr || (sequence != nullptr && sequence->type != Sequence::Type::view);
}

}  // namespace

bool are_equal(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  if (is_number(a) && is_number(b)) {
    if (is_integral(a) && is_integral(b)) return integer_of(a, "==") == integer_of(b, "==");
    return real_of(a, "==") == real_of(b, "==");
  }
  if (a.index() != b.index()) return false;
  if (const std::string* text = a.text()) {
    heap.step(text->size() / 64);
    return *text == *b.text();
  }
  if (const Sequence* sequence = a.sequence()) {
    return are_equal_sequences(heap, *sequence, *b.sequence());
  }
  if (const Dict* dict = a.dict()) return are_equal_dicts(heap, *dict, *b.dict());
  if (a.is<Undefined>() || a.is<None>()) return true;
  return a.generator() == b.generator() && a.name_space() == b.name_space() &&
         a.loop() == b.loop() && a.callable() == b.callable();
}

bool is_less(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  if (is_integral(a) && is_integral(b)) return integer_of(a, "<") < integer_of(b, "<");
  if (is_number(a) && is_number(b)) return real_of(a, "<") < real_of(b, "<");
  if (a.text() != nullptr && b.text() != nullptr) {
    heap.step(a.text()->size() / 64);
    return *a.text() < *b.text();  // the order of UTF-8 is that of its code points
  }
  const Sequence* first = a.sequence();
  const Sequence* second = b.sequence();
  if (first == nullptr || second == nullptr || first->type != second->type ||
      first->type == Sequence::Type::view) {
    refuse("<", a, b);
  }
  const auto [x, y] = std::mismatch(
      first->items.begin(), first->items.end(), second->items.begin(), second->items.end(),
      [&](const Value& left, const Value& right) { return are_equal(heap, left, right); });
  if (x == first->items.end() || y == second->items.end()) return y != second->items.end();
  return is_less(heap, *x, *y);
}

bool contains(Heap& heap, const Value& container, const Value& value) {
  if (const std::string* text = container.text()) {
    return find_text(heap, *text, text_of(value, "'in' of a string")) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) {
    heap.step(1 + (value.text() == nullptr ? 0 : value.text()->size() / 64));
    return dict->find(value) != nullptr;
  }
  const auto has = [&](const std::vector<Value>& items) {
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& item) { return are_equal(heap, item, value); });
  };
  const Sequence* sequence = container.sequence();
  return sequence != nullptr ? has(sequence->items) : has(items_of(heap, container));
}

bool compare(Heap& heap, std::string_view name, const Value& left, const Value& right) {
  if (name == "==") return are_equal(heap, left, right);
  if (name == "!=") return !are_equal(heap, left, right);
  if (name == "in") return contains(heap, right, left);
  if (name == "not in") return !contains(heap, right, left);
  const bool swaps = name == ">" || name == "<=";
  const bool is_strict = name == "<" || name == ">";
  const bool less = swaps ? is_less(heap, right, left) : is_less(heap, left, right);
  if (is_strict) return less;
  // Not-a-number is neither below, above nor equal.
  const bool is_ordered = !is_number(left) || !is_number(right) ||
                          !std::isunordered(real_of(left, "<"), real_of(right, "<"));
  return is_ordered && !less;
}

Value arithmetic(Heap& heap, std::string_view name, const Value& left, const Value& right) {
  if (is_number(left) && is_number(right)) return number_arithmetic(name, left, right);
  if (name == "+") return concatenation(heap, left, right);
  if (name == "*" && repeats(left) && is_integral(right)) {
    return repetition(heap, left, integer_of(right, "*"));
  }
  if (name == "*" && repeats(right) && is_integral(left)) {
    return repetition(heap, right, integer_of(left, "*"));
  }
  if (name == "%" && left.text() != nullptr) {
    return heap.text(percent_formatted(heap, *left.text(), right), left.get_if<Text>()->is_markup);
  }
  refuse(name, left, right);
}

}  // namespace longshadow::jinja
