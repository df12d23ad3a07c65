#include "engine/jinja/values/heap.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace longshadow::jinja {
namespace {

std::size_t depth_of(const Value& value) {
  if (const Sequence* sequence = value.sequence()) return sequence->depth;
  const Dict* dict = value.dict();
  return dict == nullptr ? 0 : dict->depth;
}

std::size_t depth_above(std::size_t depth) {
  if (depth >= Heap::kMaxDepth) {
    throw Error("lists nest deeper than " + std::to_string(Heap::kMaxDepth) + " levels");
  }
  return depth + 1;
}

/// What a Value or an entry of a Dict takes with what is kept for it, roughly.
constexpr std::size_t kBytesPerValue = sizeof(Value);
constexpr std::size_t kBytesPerEntry = 2 * sizeof(Value) + 64;
constexpr std::size_t kBytesPerObject = 64;

}  // namespace

void Heap::step(std::size_t steps) {
  steps_ += steps;
  if (steps_ > kMaxSteps) {
    throw Error("the template does more than " + std::to_string(kMaxSteps) + " steps of work");
  }
}

void Heap::charge(std::size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > max_bytes_) {
    throw Error("the template makes more than " + std::to_string(max_bytes_) + " bytes of values");
  }
  // A byte is written at a fraction of a step, but it is written.
  step(bytes / 64);
}

Value Heap::text(std::string utf8, bool is_markup) {
  charge(kBytesPerObject + utf8.size());
  texts_.push_back(std::move(utf8));
  return Text{&texts_.back(), is_markup};
}

const Sequence* Heap::sequence(Sequence::Type type, std::vector<Value> items,
                               std::string view_name) {
  charge(kBytesPerObject + items.size() * kBytesPerValue);
  std::size_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  sequences_.push_back({type, std::move(items), std::move(view_name), depth_above(depth)});
  return &sequences_.back();
}

Value Heap::list(std::vector<Value> items) {
  return sequence(Sequence::Type::list, std::move(items), "");
}
Value Heap::tuple(std::vector<Value> items) {
  return sequence(Sequence::Type::tuple, std::move(items), "");
}
Value Heap::view(std::string name, std::vector<Value> items) {
  return sequence(Sequence::Type::view, std::move(items), std::move(name));
}

Value Heap::group(const Value& grouper, const Value& members) {
  return sequence(Sequence::Type::tuple, {grouper, members}, "group");
}

Value Heap::dict(Dict dict) {
  std::size_t depth = 0;
  for (const auto& [key, value] : dict.items) {
    charge(kBytesPerEntry + (key.text() == nullptr ? 0 : key.text()->size()));
    depth = std::max(depth, depth_of(value));
  }
  charge(kBytesPerObject);
  dict.depth = depth_above(depth);
  dicts_.push_back(std::move(dict));
  return static_cast<const Dict*>(&dicts_.back());
}

Value Heap::generator(std::function<std::vector<Value>()> make) {
  charge(2 * kBytesPerObject);
  generators_.push_back({std::move(make)});
  return &generators_.back();
}

Value Heap::name_space(Dict attributes) {
  charge(kBytesPerObject + attributes.items.size() * kBytesPerEntry);
  namespaces_.push_back({std::move(attributes)});
  return &namespaces_.back();
}

Value Heap::callable(const Callable& callable) {
  charge(sizeof(Callable));
  callables_.push_back(callable);
  return static_cast<const Callable*>(&callables_.back());
}

Loop& Heap::loop(const std::vector<Value>& items) {
  charge(sizeof(Loop));
  loops_.push_back({&items});
  return loops_.back();
}

std::vector<Value>& Heap::keep(std::vector<Value> items) {
  charge(items.size() * kBytesPerValue);
  kept_.push_back(std::move(items));
  return kept_.back();
}

}  // namespace longshadow::jinja
