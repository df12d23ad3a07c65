#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jinja/values/callable.h"
#include "engine/jinja/values/value.h"

namespace longshadow::jinja {

/// Owns every value that a template makes while it is rendered and holds it to its limits: what a
/// stranger's template may take of memory and of time. Values are freed with the heap, so that none
/// may outlive another and a ring of namespaces is no leak.
class Heap {
 public:
  /// Steps that a template may do: one takes up to about a hundred nanoseconds.
  static constexpr std::size_t kMaxSteps = std::size_t{1} << 24;
  /// Levels that lists and dictionaries nest to.
  static constexpr std::size_t kMaxDepth = 100;

  explicit Heap(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Throw Error where the template does more than it may.
  void step(std::size_t steps = 1);
  void charge(std::size_t bytes);

  Value text(std::string utf8, bool is_markup = false);
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value view(std::string name, std::vector<Value> items);
  /// What groupby makes: a tuple whose items are its `grouper` and its `list` as well.
  Value group(const Value& grouper, const Value& members);
  Value dict(Dict dict);
  Value generator(std::function<std::vector<Value>()> make);
  Value name_space(Dict attributes);
  Value callable(const Callable& callable);
  Loop& loop(const std::vector<Value>& items);
  /// A place for values whose address stays.
  std::vector<Value>& keep(std::vector<Value> items);

 private:
  const Sequence* sequence(Sequence::Type type, std::vector<Value> items, std::string view_name);

  std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  std::size_t steps_ = 0;
  std::deque<std::string> texts_;
  std::deque<Sequence> sequences_;
  std::deque<Dict> dicts_;
  std::deque<Generator> generators_;
  std::deque<Namespace> namespaces_;
  std::deque<Callable> callables_;
  std::deque<Loop> loops_;
  std::deque<std::vector<Value>> kept_;
};

}  // namespace longshadow::jinja
