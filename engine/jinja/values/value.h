#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

/// The interpreter of chat templates: Jinja as jinja2 runs it, on Python's values.
namespace longshadow::jinja {

struct Callable;
struct Dict;
struct Generator;
struct Loop;
struct Namespace;
struct Sequence;

/// What a name that nothing defines is: empty when written, an error when looked into.
struct Undefined {
  const std::string* name = nullptr;  ///< for messages; nullptr where it has none
};

struct None {};

struct Text {
  const std::string* utf8;
  bool is_markup = false;  ///< marked by `safe` or `escape`: what is added to it is escaped
};

/// A value of a template. What it points to belongs to a Heap and lives as long as that.
struct Value : std::variant<Undefined, None, bool, std::int64_t, double, Text, const Sequence*,
                            const Dict*, Generator*, Namespace*, Loop*, const Callable*> {
  using variant::variant;

  template <class T>
  bool is() const {
    return std::holds_alternative<T>(*this);
  }
  /// nullptr where it is something else.
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(this);
  }
  const std::string* text() const {
    const auto* held = get_if<Text>();
    return held == nullptr ? nullptr : held->utf8;
  }
  const Sequence* sequence() const { return pointer<const Sequence>(); }
  const Dict* dict() const { return pointer<const Dict>(); }
  Generator* generator() const { return pointer<Generator>(); }
  Namespace* name_space() const { return pointer<Namespace>(); }
  Loop* loop() const { return pointer<Loop>(); }
  const Callable* callable() const { return pointer<const Callable>(); }

 private:
  template <class T>
  T* pointer() const {
    const auto* held = get_if<T*>();
    return held == nullptr ? nullptr : *held;
  }
};

/// A list, a tuple or a view of Python's (range, dict_keys, dict_values, dict_items). None changes
/// once it is made: transformers runs templates in jinja2's immutable sandbox.
struct Sequence {
  enum class Type { list, tuple, view };
  Type type;
  std::vector<Value> items;
  std::string view_name{};  ///< of a view: range, dict_items, ...; of groupby's tuples: group
  std::size_t depth = 1;    ///< of the values nested in it, itself included
};

/// A dictionary in the order in which its keys were first set.
struct Dict {
  std::vector<std::pair<Value, Value>> items{};
  std::unordered_map<std::string, std::size_t> index{};  ///< key_of() each key
  std::size_t depth = 1;

  /// nullptr where there is none. Throws Error for a key that Python cannot hash.
  const Value* find(const Value& key) const;
  void set(const Value& key, const Value& value);
};

/// What map, select and their like yield: made when it is first looked at, and used up by that. As
/// in Python it counts as true even where nothing comes of it.
struct Generator {
  std::function<std::vector<Value>()> make;
  bool is_used = false;
};

struct Namespace {
  Dict attributes;
};

/// `loop` inside a for.
struct Loop {
  const std::vector<Value>* items;
  std::size_t index = 0;
  std::size_t depth = 1;
  const Callable* again = nullptr;    ///< loop(items) of a recursive one
  std::vector<Value> last_changed{};  ///< what loop.changed() was last given
  bool was_changed_called = false;
};

/// What messages call the kind of a value: "a string", "undefined", ...
std::string kind_of(const Value& value);

bool is_true(const Value& value);

/// int or bool, as Python counts True as 1.
bool is_integral(const Value& value);
bool is_number(const Value& value);
/// Throw Error saying that `what` needs a number, a whole one or a string.
double real_of(const Value& value, const std::string& what);
std::int64_t integer_of(const Value& value, const std::string& what);
const std::string& text_of(const Value& value, const std::string& what);

/// Says the same of two keys where Python's dictionaries do: 1, 1.0 and True are one key. Throws
/// Error for a value that cannot be a key.
std::string key_of(const Value& value);

/// What Python calls its type: "str", "dict", ... as its own messages and repr() write it.
std::string_view type_name(const Value& value);

}  // namespace longshadow::jinja
