// The methods of Python's list, tuple and dict and of Jinja's loop.
#include "engine/jinja/operators/methods.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/heap.h"

namespace longshadow::jinja {
namespace {

using Values = std::span<const Value>;

/// jinja2's immutable sandbox has these, and refuses to call them.
Value refuse_change(Heap&, const Value& value, const Arguments&) {
  throw Error("a method that would change " + kind_of(value) +
              " is refused, as in transformers' sandbox; build a new one with + or a namespace");
}

std::vector<Value> keys_of(const Dict& dict) {
  std::vector<Value> keys;
  for (const auto& item : dict.items) keys.push_back(item.first);
  return keys;
}

Value keys(Heap& heap, Values values) { return heap.view("dict_keys", keys_of(*values[0].dict())); }

Value dict_values(Heap& heap, Values values) {
  std::vector<Value> all;
  for (const auto& item : values[0].dict()->items) all.push_back(item.second);
  return heap.view("dict_values", std::move(all));
}

Value items(Heap& heap, Values values) {
  return heap.view("dict_items", item_pairs(heap, *values[0].dict()));
}

Value get(Heap& heap, Values values) {
  heap.step(1 + (values[1].text() == nullptr ? 0 : values[1].text()->size() / 64));
  const Value* found = values[0].dict()->find(values[1]);
  return found == nullptr ? values[2] : *found;
}

Value index(Heap& heap, Values values) {
  const std::vector<Value>& all = values[0].sequence()->items;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (are_equal(heap, all[i], values[1])) return static_cast<std::int64_t>(i);
  }
  throw Error("index: the value is not in the list");
}

Value count(Heap& heap, Values values) {
  const std::vector<Value>& all = values[0].sequence()->items;
  return static_cast<std::int64_t>(std::count_if(
      all.begin(), all.end(), [&](const Value& item) { return are_equal(heap, item, values[1]); }));
}

Value copy(Heap&, Values values) { return values[0]; }  // nothing changes it

/// loop.cycle(a, b, ...): the one whose turn it is.
Value cycle(Heap&, const Value& value, const Arguments& arguments) {
  if (arguments.positional.empty()) throw Error("loop.cycle needs values");
  return arguments.positional[value.loop()->index % arguments.positional.size()];
}

/// loop.changed(a, b, ...): whether the values differ from the last time's.
Value changed(Heap& heap, const Value& value, const Arguments& arguments) {
  Loop& loop = *value.loop();
  const std::vector<Value>& now = arguments.positional;
  const bool is_same =
      loop.was_changed_called &&
      std::equal(now.begin(), now.end(), loop.last_changed.begin(), loop.last_changed.end(),
                 [&](const Value& a, const Value& b) { return are_equal(heap, a, b); });
  loop.last_changed = now;
  loop.was_changed_called = true;
  return !is_same;
}

std::span<const Builtin> list_methods() {
  static const std::vector<Builtin> methods{
      {"append", {}, nullptr, refuse_change},
      {"clear", {}, nullptr, refuse_change},
      {"copy", {}, copy},
      {"count", {{"value"}}, count},
      {"extend", {}, nullptr, refuse_change},
      {"index", {{"value"}}, index},
      {"insert", {}, nullptr, refuse_change},
      {"pop", {}, nullptr, refuse_change},
      {"remove", {}, nullptr, refuse_change},
      {"reverse", {}, nullptr, refuse_change},
      {"sort", {}, nullptr, refuse_change},
  };
  return methods;
}

std::span<const Builtin> tuple_methods() {
  static const std::vector<Builtin> methods{{"count", {{"value"}}, count},
                                            {"index", {{"value"}}, index}};
  return methods;
}

std::span<const Builtin> dict_methods() {
  static const std::vector<Builtin> methods{
      {"clear", {}, nullptr, refuse_change},
      {"copy", {}, copy},
      {"get", {{"key"}, {"default", Value(None{})}}, get},
      {"items", {}, items},
      {"keys", {}, keys},
      {"pop", {}, nullptr, refuse_change},
      {"popitem", {}, nullptr, refuse_change},
      {"setdefault", {}, nullptr, refuse_change},
      {"update", {}, nullptr, refuse_change},
      {"values", {}, dict_values},
  };
  return methods;
}

std::span<const Builtin> loop_methods() {
  static const std::vector<Builtin> methods{{"changed", {}, nullptr, changed},
                                            {"cycle", {}, nullptr, cycle}};
  return methods;
}

}  // namespace

std::vector<Value> item_pairs(Heap& heap, const Dict& dict) {
  std::vector<Value> pairs;
  for (const auto& [key, value] : dict.items) pairs.push_back(heap.tuple({key, value}));
  return pairs;
}

const Builtin* find_method(const Value& value, std::string_view name) {
  if (value.text() != nullptr) return find_builtin(string_methods(), name);
  if (value.dict() != nullptr) return find_builtin(dict_methods(), name);
  if (value.loop() != nullptr) return find_builtin(loop_methods(), name);
  const Sequence* sequence = value.sequence();
  if (sequence == nullptr || sequence->view_name.starts_with("dict_")) return nullptr;
  return find_builtin(sequence->type == Sequence::Type::list ? list_methods() : tuple_methods(),
                      name);
}

}  // namespace longshadow::jinja
