// What stands behind `is` in a template, as jinja2's tests.py has it.
#include <string>
#include <vector>

#include "engine/core/error.h"
#include "engine/jinja/filters/filters.h"
#include "engine/jinja/operators/methods.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/callable.h"
#include "engine/jinja/values/heap.h"
#include "engine/jinja/values/text.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

using Values = std::span<const Value>;

template <int remainder>
Value leaves_of_two(Heap& heap, Values v) {
  return are_equal(heap, arithmetic(heap, "%", v[0], std::int64_t{2}), std::int64_t{remainder});
}

Value divisibleby(Heap& heap, Values v) {
  return are_equal(heap, arithmetic(heap, "%", v[0], v[1]), std::int64_t{0});
}

template <bool truth>
Value is_just(Heap&, Values v) {
  const auto* held = v[0].get_if<bool>();
  return held != nullptr && *held == truth;
}

template <bool is_upper>
Value is_in_case(Heap& heap, Values v) {
  return has_case(heap, to_text(heap, v[0]), is_upper);
}

Value sequence(Heap&, Values v) {
  const Sequence* sequence = v[0].sequence();
  const bool has_places = sequence != nullptr && (sequence->type != Sequence::Type::view ||
                                                  sequence->view_name == "range");
  return v[0].text() != nullptr || v[0].dict() != nullptr || has_places || v[0].is<Undefined>();
}

Value iterable(Heap&, Values v) {
  return v[0].text() != nullptr || v[0].dict() != nullptr || v[0].sequence() != nullptr ||
         v[0].generator() != nullptr || v[0].loop() != nullptr || v[0].is<Undefined>();
}

Value sameas(Heap& heap, Values v) {
  if (v[0].index() != v[1].index()) return false;
  if (const Sequence* a = v[0].sequence()) return a == v[1].sequence();
  if (const Dict* a = v[0].dict()) return a == v[1].dict();
  return are_equal(heap, v[0], v[1]);
}

Value escaped(Heap&, Values v) {
  const auto* text = v[0].get_if<Text>();
  return text != nullptr && text->is_markup;
}

enum class Comparison { equal, unequal, less, less_or_equal, greater, greater_or_equal, in };

template <Comparison comparison>
Value compares(Heap& heap, Values v) {
  constexpr std::string_view kNames[]{"==", "!=", "<", "<=", ">", ">=", "in"};
  return compare(heap, kNames[static_cast<std::size_t>(comparison)], v[0], v[1]);
}

std::vector<Builtin> all_tests() {
  const std::vector<Parameter> other{{"other"}};
  std::vector<Builtin> tests{
      {"boolean", {}, [](Heap&, Values v) { return Value(v[0].is<bool>()); }},
      {"callable",
       {},
       [](Heap&, Values v) { return Value(v[0].callable() != nullptr || v[0].loop() != nullptr); }},
      {"defined", {}, [](Heap&, Values v) { return Value(!v[0].is<Undefined>()); }},
      {"divisibleby", {{"num"}}, divisibleby},
      {"escaped", {}, escaped},
      {"even", {}, leaves_of_two<0>},
      {"false", {}, is_just<false>},
      {"filter",
       {},
       [](Heap&, Values v) { return Value(find_filter(text_of(v[0], "filter")) != nullptr); }},
      {"float", {}, [](Heap&, Values v) { return Value(v[0].is<double>()); }},
      {"in", {{"seq"}}, compares<Comparison::in>},
      {"integer", {}, [](Heap&, Values v) { return Value(v[0].is<std::int64_t>()); }},
      {"iterable", {}, iterable},
      {"lower", {}, is_in_case<false>},
      {"mapping", {}, [](Heap&, Values v) { return Value(v[0].dict() != nullptr); }},
      {"none", {}, [](Heap&, Values v) { return Value(v[0].is<None>()); }},
      {"number", {}, [](Heap&, Values v) { return Value(is_number(v[0])); }},
      {"odd", {}, leaves_of_two<1>},
      {"sameas", other, sameas},
      {"sequence", {}, sequence},
      {"string", {}, [](Heap&, Values v) { return Value(v[0].text() != nullptr); }},
      {"test",
       {},
       [](Heap&, Values v) { return Value(find_test(text_of(v[0], "test")) != nullptr); }},
      {"true", {}, is_just<true>},
      {"undefined", {}, [](Heap&, Values v) { return Value(v[0].is<Undefined>()); }},
      {"upper", {}, is_in_case<true>},
  };
  for (const std::string_view name : {"==", "eq", "equalto"}) {
    tests.push_back({name, other, compares<Comparison::equal>});
  }
  for (const std::string_view name : {"!=", "ne"}) {
    tests.push_back({name, other, compares<Comparison::unequal>});
  }
  for (const std::string_view name : {"<", "lt", "lessthan"}) {
    tests.push_back({name, other, compares<Comparison::less>});
  }
  for (const std::string_view name : {">", "gt", "greaterthan"}) {
    tests.push_back({name, other, compares<Comparison::greater>});
  }
  for (const std::string_view name : {"<=", "le"}) {
    tests.push_back({name, other, compares<Comparison::less_or_equal>});
  }
  for (const std::string_view name : {">=", "ge"}) {
    tests.push_back({name, other, compares<Comparison::greater_or_equal>});
  }
  return tests;
}

}  // namespace

const Builtin* find_test(std::string_view name) {
  static const std::vector<Builtin> tests = all_tests();
  return find_builtin(tests, name);
}

bool apply_test(Heap& heap, std::string_view name, const Value& value, const Arguments& arguments) {
  const Builtin* test = find_test(name);
  if (test == nullptr) throw Error("there is no test " + quote(name));
  return is_true(apply(*test, heap, value, arguments));
}

}  // namespace longshadow::jinja
