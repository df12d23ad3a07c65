// What lies inside a value: its items, its attributes, its slices.
#include <algorithm>
#include <array>

#include "engine/core/error.h"
#include "engine/jinja/operators/methods.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/strings.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

Value undefined_item(const Value& key) {
  const auto* text = key.get_if<Text>();
  return Undefined{text == nullptr ? nullptr : text->utf8};
}

std::optional<std::size_t> place_of(const Value& key, std::size_t size) {
  if (!is_integral(key)) return std::nullopt;
  const std::int64_t index = integer_of(key, "an index");
  const auto n = static_cast<std::int64_t>(size);
  const std::int64_t place = index < 0 ? index + n : index;
  if (place < 0 || place >= n) return std::nullopt;
  return static_cast<std::size_t>(place);
}

std::optional<Value> subscripted(Heap& heap, const Value& value, const Value& key) {
  if (const Dict* dict = value.dict()) {
    const std::string* text = key.text();
    if (text == nullptr && !is_number(key) && !key.is<None>()) return std::nullopt;
    heap.step(text == nullptr ? 1 : 1 + text->size() / 64);
    const Value* found = dict->find(key);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  if (const Sequence* sequence = value.sequence()) {
    const bool has_places =
        sequence->type != Sequence::Type::view || sequence->view_name == "range";
    const auto place = has_places ? place_of(key, sequence->items.size()) : std::nullopt;
    return place ? std::optional(sequence->items[*place]) : std::nullopt;
  }
  if (value.text() == nullptr) return std::nullopt;
  const CodePoints characters(heap, *value.text());
  const auto place = place_of(key, characters.size());
  if (!place) return std::nullopt;
  return heap.text(characters.between(*place, *place + 1), value.get_if<Text>()->is_markup);
}

std::optional<Value> loop_attribute(Heap& heap, Loop& loop, std::string_view name) {
  const auto number = [](std::size_t n) { return Value(static_cast<std::int64_t>(n)); };
  const std::vector<Value>& items = *loop.items;
  if (name == "index") return number(loop.index + 1);
  if (name == "index0") return number(loop.index);
  if (name == "first") return Value(loop.index == 0);
  if (name == "last") return Value(loop.index + 1 == items.size());
  if (name == "length") return number(items.size());
  if (name == "revindex") return number(items.size() - loop.index);
  if (name == "revindex0") return number(items.size() - loop.index - 1);
  if (name == "depth") return number(loop.depth);
  if (name == "depth0") return number(loop.depth - 1);
  if (name == "previtem") return loop.index == 0 ? Value() : items[loop.index - 1];
  if (name == "nextitem") return loop.index + 1 == items.size() ? Value() : items[loop.index + 1];
  const Builtin* method = find_method(&loop, name);
  if (method == nullptr) return std::nullopt;
  return heap.callable({Callable::Kind::method, name, &loop, method});
}

std::optional<Value> attribute_of(Heap& heap, const Value& value, const std::string& name) {
  if (name.starts_with("__")) return std::nullopt;  // the sandbox hides them
  if (const Namespace* name_space = value.name_space()) {
    const Value* found = name_space->attributes.find(Text{&name});
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  if (Loop* loop = value.loop()) return loop_attribute(heap, *loop, name);
  if (const Sequence* group = value.sequence(); group != nullptr && group->view_name == "group") {
    if (name == "grouper") return group->items[0];
    if (name == "list") return group->items[1];
  }
  const Builtin* method = find_method(value, name);
  if (method == nullptr) return std::nullopt;
  return heap.callable({Callable::Kind::method, method->name, value, method});
}

/// The places that [first:last:step] of Python names, in its order.
std::vector<std::size_t> slice_places(std::size_t size, const Value& first, const Value& last,
                                      const Value& step_value) {
  const auto n = static_cast<std::int64_t>(size);
  const std::int64_t step = step_value.is<None>() ? 1 : integer_of(step_value, "a slice");
  if (step == 0) throw Error("a slice's step must not be zero");
  const auto bound = [&](const Value& value, std::int64_t standard) {
    if (value.is<None>()) return standard;
    const std::int64_t given = integer_of(value, "a slice");
    const std::int64_t lowest = step < 0 ? -1 : 0;
    return std::clamp(given < 0 ? given + n : given, lowest, step < 0 ? n - 1 : n);
  };
  const std::int64_t begin = bound(first, step < 0 ? n - 1 : 0);
  const std::int64_t end = bound(last, step < 0 ? -1 : n);
  // A step of more than the whole is one of just the whole.
  const std::int64_t stride = std::clamp(step, -n - 1, n + 1);
  std::vector<std::size_t> places;
  for (std::int64_t i = begin; stride > 0 ? i < end : i > end; i += stride) {
    places.push_back(static_cast<std::size_t>(i));
  }
  return places;
}

}  // namespace

std::vector<Value> items_of(Heap& heap, const Value& value) {
  heap.step();
  if (const Sequence* sequence = value.sequence()) {
    heap.step(sequence->items.size() / 8);
    return sequence->items;
  }
  if (value.is<Undefined>()) return {};
  std::vector<Value> items;
  if (const Dict* dict = value.dict()) {
    heap.step(dict->items.size() / 8);
    for (const auto& item : dict->items) items.push_back(item.first);
    return items;
  }
  if (Generator* generator = value.generator()) {
    if (generator->is_used) return {};
    generator->is_used = true;
    return generator->make();
  }
  if (value.text() == nullptr) throw Error(kind_of(value) + " has no items to go through");
  const CodePoints characters(heap, *value.text());
  for (std::size_t i = 0; i < characters.size(); ++i) {
    items.push_back(heap.text(characters.between(i, i + 1)));
  }
  return items;
}

Value item_of(Heap& heap, const Value& value, const Value& key, bool is_attribute) {
  heap.step();
  const std::string* name = key.text();
  if (value.is<Undefined>()) {
    throw Error(
        kind_of(value) + " has no " +
        (name == nullptr ? "items" : (is_attribute ? "attribute " : "item ") + quote(*name)));
  }
  std::optional<Value> found;
  if (is_attribute && name != nullptr) found = attribute_of(heap, value, *name);
  if (!found) found = subscripted(heap, value, key);
  if (!found && !is_attribute && name != nullptr) found = attribute_of(heap, value, *name);
  return found ? *found : undefined_item(key);
}

Value slice_of(Heap& heap, const Value& value, const Value& first, const Value& last,
               const Value& step) {
  if (const auto* text = value.get_if<Text>()) {
    const CodePoints characters(heap, *text->utf8);
    std::string part;
    for (const std::size_t i : slice_places(characters.size(), first, last, step)) {
      part += characters.between(i, i + 1);
    }
    return heap.text(std::move(part), text->is_markup);
  }
  const Sequence* sequence = value.sequence();
  if (sequence == nullptr ||
      (sequence->type == Sequence::Type::view && sequence->view_name != "range")) {
    throw Error(kind_of(value) + " has no slices");
  }
  std::vector<Value> items;
  for (const std::size_t i : slice_places(sequence->items.size(), first, last, step)) {
    items.push_back(sequence->items[i]);
  }
  heap.step(items.size() / 8);
  if (sequence->type == Sequence::Type::tuple) return heap.tuple(std::move(items));
  if (sequence->type == Sequence::Type::view) return heap.view("range", std::move(items));
  return heap.list(std::move(items));
}

}  // namespace longshadow::jinja
