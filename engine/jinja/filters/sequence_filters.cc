// Filters that go through the items of a value, as jinja2's filters.py has them.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "engine/core/error.h"
#include "engine/jinja/filters/filters.h"
#include "engine/jinja/operators/methods.h"
#include "engine/jinja/operators/operators.h"
#include "engine/jinja/values/heap.h"
#include "engine/jinja/values/strings.h"
#include "engine/jinja/values/text.h"
#include "engine/text/utf8.h"

namespace longshadow::jinja {
namespace {

using Values = std::span<const Value>;

const std::string kEmpty;
const std::string kKey = "key";
const Value kNone = None{};
const Value kFalse = false;

Value ignoring_case(Heap& heap, const Value& value) {
  return value.text() == nullptr ? value : heap.text(lowered(heap, *value.text()));
}

/// What an attribute such as 'function.name' or 0 finds in an item; the item itself of none.
class Attribute {
 public:
  Attribute(Heap& heap, const Value& attribute, bool ignores_case = false,
            const Value& standard = kNone)
      : heap_(heap), ignores_case_(ignores_case), standard_(standard) {
    if (attribute.is<None>()) return;
    if (attribute.text() == nullptr) {
      path_.push_back(attribute);
      return;
    }
    for (const std::string& part : split(heap, *attribute.text(), ".", -1)) {
      const bool is_index = !part.empty() && part.size() < 18 &&
                            part.find_first_not_of("0123456789") == std::string::npos;
      path_.push_back(is_index ? Value(std::int64_t{std::stoll(part)}) : heap.text(part));
    }
  }

  Value of(Value item) const {
    for (const Value& part : path_) {
      item = item_of(heap_, item, part, false);
      if (item.is<Undefined>() && !standard_.is<None>()) item = standard_;
    }
    return ignores_case_ ? ignoring_case(heap_, item) : item;
  }

 private:
  Heap& heap_;
  bool ignores_case_;
  Value standard_;
  std::vector<Value> path_;
};

struct Keyed {
  Value key;
  Value item;
};

/// Stable, as Python's sorted() is, in reverse too.
void sort_by_key(Heap& heap, std::vector<Keyed>& items, bool reverse) {
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? is_less(heap, b.key, a.key) : is_less(heap, a.key, b.key);
  });
}

std::vector<Keyed> keyed(Heap& heap, const Value& value, const Attribute& attribute) {
  std::vector<Keyed> items;
  for (const Value& item : items_of(heap, value)) items.push_back({attribute.of(item), item});
  return items;
}

std::vector<Value> without_keys(const std::vector<Keyed>& items) {
  std::vector<Value> all;
  for (const Keyed& item : items) all.push_back(item.item);
  return all;
}

Value sort(Heap& heap, Values v) {
  const bool ignores_case = !is_true(v[2]);
  // 'a,b' sorts by both.
  std::vector<Value> parts{v[3]};
  if (v[3].text() != nullptr) {
    parts.clear();
    for (const std::string& part : split(heap, *v[3].text(), ",", -1)) {
      parts.push_back(heap.text(part));
    }
  }
  std::vector<Keyed> items;
  for (const Value& item : items_of(heap, v[0])) {
    std::vector<Value> keys;
    for (const Value& part : parts) keys.push_back(Attribute(heap, part, ignores_case).of(item));
    items.push_back({heap.list(std::move(keys)), item});
  }
  sort_by_key(heap, items, is_true(v[1]));
  return heap.list(without_keys(items));
}

Value dictsort(Heap& heap, Values v) {
  const Dict* dict = v[0].dict();
  if (dict == nullptr) throw Error("dictsort needs a dictionary, found " + kind_of(v[0]));
  const std::string& by = text_of(v[2], "dictsort");
  if (by != "key" && by != "value") throw Error("dictsort: expected by='key' or by='value'");
  std::vector<Keyed> items;
  for (const Value& pair : item_pairs(heap, *dict)) {
    const Value& key = pair.sequence()->items[by == "key" ? 0 : 1];
    items.push_back({is_true(v[1]) ? key : ignoring_case(heap, key), pair});
  }
  sort_by_key(heap, items, is_true(v[3]));
  return heap.list(without_keys(items));
}

Value groupby(Heap& heap, Values v) {
  const bool ignores_case = !is_true(v[3]);
  std::vector<Keyed> items = keyed(heap, v[0], Attribute(heap, v[1], ignores_case, v[2]));
  sort_by_key(heap, items, false);
  const Attribute shown(heap, v[1], false, v[2]);
  std::vector<Value> groups;
  for (std::size_t begin = 0, end = 0; begin < items.size(); begin = end) {
    std::vector<Value> members;
    while (end < items.size() && are_equal(heap, items[end].key, items[begin].key)) {
      members.push_back(items[end++].item);
    }
    if (end == begin) ++end;  // not-a-number is not even itself
    const Value key = members.empty() ? items[begin].key : shown.of(members[0]);
    groups.push_back(heap.group(key, heap.list(std::move(members))));
  }
  return heap.list(std::move(groups));
}

Value unique(Heap& heap, Values v) {
  const Value value = v[0];
  const Attribute attribute(heap, v[2], !is_true(v[1]));
  return heap.generator([&heap, value, attribute] {
    std::unordered_set<std::string> seen;
    std::vector<Value> all;
    for (const auto& [key, item] : keyed(heap, value, attribute)) {
      heap.step(key.text() == nullptr ? 0 : key.text()->size() / 64);
      if (seen.insert(key_of(key)).second) all.push_back(item);
    }
    return all;
  });
}

template <bool is_max>
Value extreme(Heap& heap, Values v) {
  const std::vector<Keyed> items = keyed(heap, v[0], Attribute(heap, v[2], !is_true(v[1])));
  const auto less = [&](const Keyed& a, const Keyed& b) {
    return is_max ? is_less(heap, b.key, a.key) : is_less(heap, a.key, b.key);
  };
  return items.empty() ? Value() : std::min_element(items.begin(), items.end(), less)->item;
}

Value sum(Heap& heap, Values v) {
  Value total = v[2];
  const Attribute attribute(heap, v[1]);
  for (const Value& item : items_of(heap, v[0])) {
    const Value part = attribute.of(item);
    if (part.text() != nullptr) throw Error("sum cannot add strings; join does");
    total = arithmetic(heap, "+", total, part);
  }
  return total;
}

Value join(Heap& heap, Values v) {
  const std::string separator = to_text(heap, v[1]);
  const Attribute attribute(heap, v[2]);
  std::string all;
  bool is_first = true;
  for (const Value& item : items_of(heap, v[0])) {
    const std::string text = to_text(heap, attribute.of(item));
    heap.charge(separator.size() + text.size());
    heap.step();
    if (!is_first) all += separator;
    is_first = false;
    all += text;
  }
  return heap.text(std::move(all));
}

Value length(Heap& heap, Values v) {
  if (const std::string* text = v[0].text()) {
    return static_cast<std::int64_t>(length_of(heap, *text));
  }
  if (v[0].generator() != nullptr) throw Error("length: a generator has none; use list before it");
  if (const Dict* dict = v[0].dict()) return static_cast<std::int64_t>(dict->items.size());
  if (const Sequence* sequence = v[0].sequence()) {
    return static_cast<std::int64_t>(sequence->items.size());
  }
  if (!v[0].is<Undefined>()) throw Error("length: " + kind_of(v[0]) + " has none");
  return std::int64_t{0};
}

Value first(Heap& heap, Values v) {
  if (const Sequence* sequence = v[0].sequence()) {
    return sequence->items.empty() ? Value() : sequence->items.front();
  }
  if (v[0].text() != nullptr) return item_of(heap, v[0], std::int64_t{0}, false);
  const std::vector<Value> items = items_of(heap, v[0]);
  return items.empty() ? Value() : items.front();
}

Value last(Heap& heap, Values v) {
  if (const Sequence* sequence = v[0].sequence()) {
    return sequence->items.empty() ? Value() : sequence->items.back();
  }
  if (v[0].text() != nullptr) return item_of(heap, v[0], std::int64_t{-1}, false);
  if (v[0].dict() == nullptr) throw Error("last: " + kind_of(v[0]) + " has none");
  const std::vector<Value> items = items_of(heap, v[0]);
  return items.empty() ? Value() : items.back();
}

Value reverse(Heap& heap, Values v) {
  if (v[0].text() != nullptr) return slice_of(heap, v[0], kNone, kNone, std::int64_t{-1});
  const Value value = v[0];
  const auto reversed = [&heap, value] {
    std::vector<Value> items = items_of(heap, value);
    std::reverse(items.begin(), items.end());
    return items;
  };
  const bool is_lazy = v[0].sequence() != nullptr || v[0].dict() != nullptr;
  return is_lazy ? heap.generator(reversed) : heap.list(reversed());
}

Value items(Heap& heap, Values v) {
  const Value value = v[0];
  return heap.generator([&heap, value] {
    if (value.is<Undefined>()) return std::vector<Value>();
    if (value.dict() == nullptr) throw Error("items needs a dictionary, found " + kind_of(value));
    return item_pairs(heap, *value.dict());
  });
}

Value attr(Heap& heap, Values v) {
  // An attribute alone: no key of a dictionary.
  if (v[0].dict() == nullptr) return item_of(heap, v[0], v[1], true);
  return find_method(v[0], text_of(v[1], "attr")) == nullptr ? Value(Undefined{v[1].text()})
                                                             : item_of(heap, v[0], v[1], true);
}

Value batch(Heap& heap, Values v) {
  const Value value = v[0];
  const std::int64_t count = integer_of(v[1], "batch");
  const Value fill = v[2];
  return heap.generator([&heap, value, count, fill] {
    std::vector<Value> batches;
    std::vector<Value> open;
    for (const Value& item : items_of(heap, value)) {
      if (static_cast<std::int64_t>(open.size()) == count) {
        batches.push_back(heap.list(std::exchange(open, {})));
      }
      open.push_back(item);
    }
    if (open.empty()) return batches;
    while (!fill.is<None>() && static_cast<std::int64_t>(open.size()) < count) {
      heap.charge(sizeof(Value));
      open.push_back(fill);
    }
    batches.push_back(heap.list(std::move(open)));
    return batches;
  });
}

Value slice(Heap& heap, Values v) {
  const Value value = v[0];
  const std::int64_t slices = integer_of(v[1], "slice");
  const Value fill = v[2];
  return heap.generator([&heap, value, slices, fill] {
    const std::vector<Value> all = items_of(heap, value);
    const auto size = static_cast<std::int64_t>(all.size());
    if (slices == 0) throw Error("division by zero");
    std::vector<Value> parts;
    auto at = all.begin();
    for (std::int64_t i = 0; i < slices; ++i) {
      heap.step();
      const bool has_extra = i < size % slices;
      const auto end = at + (size / slices + (has_extra ? 1 : 0));
      std::vector<Value> part(at, end);
      at = end;
      if (!fill.is<None>() && !has_extra) part.push_back(fill);
      parts.push_back(heap.list(std::move(part)));
    }
    return parts;
  });
}

/// map('filter', arguments...) or map(attribute='name', default=value).
Value map(Heap& heap, const Value& value, const Arguments& given) {
  return heap.generator([&heap, value, given] {
    std::vector<Value> all;
    if (!is_true(value)) return all;
    const bool by_attribute = given.positional.empty() && !given.named.empty();
    Value attribute;
    Value standard = kNone;
    for (const auto& [name, item] : given.named) {
      if (!by_attribute) break;
      if (name != "attribute" && name != "default") {
        throw Error("map has no argument " + quote(name));
      }
      (name == "attribute" ? attribute : standard) = item;
    }
    if (by_attribute ? attribute.is<Undefined>() : given.positional.empty()) {
      throw Error("map needs the name of a filter or an attribute");
    }
    const Attribute getter(heap, by_attribute ? attribute : kNone, false, standard);
    Arguments rest = given;
    if (!by_attribute) rest.positional.erase(rest.positional.begin());
    for (const Value& item : items_of(heap, value)) {
      all.push_back(by_attribute
                        ? getter.of(item)
                        : apply_filter(heap, text_of(given.positional[0], "map"), item, rest));
    }
    return all;
  });
}

/// select, reject, and the two that test an attribute of each item.
template <bool keeps, bool by_attribute>
Value select(Heap& heap, const Value& value, const Arguments& given) {
  return heap.generator([&heap, value, given] {
    std::vector<Value> all;
    if (!is_true(value)) return all;
    Arguments rest = given;
    const auto take = [&] {
      const Value taken = rest.positional.front();
      rest.positional.erase(rest.positional.begin());
      return taken;
    };
    if (by_attribute && rest.positional.empty()) {
      throw Error("selectattr and rejectattr need the name of an attribute");
    }
    const Attribute getter(heap, by_attribute ? take() : kNone);
    const std::string test = rest.positional.empty() ? "" : text_of(take(), "a test's name");
    for (const Value& item : items_of(heap, value)) {
      const Value tested = getter.of(item);
      const bool holds = test.empty() ? is_true(tested) : apply_test(heap, test, tested, rest);
      if (holds == keeps) all.push_back(item);
    }
    return all;
  });
}

std::vector<Builtin> all_filters() {
  const std::vector<Parameter> by_key{{"case_sensitive", kFalse}, {"attribute", kNone}};
  return {
      {"attr", {{"name"}}, attr},
      {"batch", {{"linecount"}, {"fill_with", kNone}}, batch},
      {"count", {}, length},
      {"dictsort",
       {{"case_sensitive", kFalse}, {"by", Value(Text{&kKey})}, {"reverse", kFalse}},
       dictsort},
      {"first", {}, first},
      {"groupby", {{"attribute"}, {"default", kNone}, {"case_sensitive", kFalse}}, groupby},
      {"items", {}, items},
      {"join", {{"d", Value(Text{&kEmpty})}, {"attribute", kNone}}, join},
      {"last", {}, last},
      {"length", {}, length},
      {"list", {}, [](Heap& heap, Values v) { return heap.list(items_of(heap, v[0])); }},
      {"map", {}, nullptr, map},
      {"max", by_key, extreme<true>},
      {"min", by_key, extreme<false>},
      {"reject", {}, nullptr, select<false, false>},
      {"rejectattr", {}, nullptr, select<false, true>},
      {"reverse", {}, reverse},
      {"select", {}, nullptr, select<true, false>},
      {"selectattr", {}, nullptr, select<true, true>},
      {"slice", {{"slices"}, {"fill_with", kNone}}, slice},
      {"sort", {{"reverse", kFalse}, {"case_sensitive", kFalse}, {"attribute", kNone}}, sort},
      {"sum", {{"attribute", kNone}, {"start", Value(std::int64_t{0})}}, sum},
      {"unique", by_key, unique},
  };
}

}  // namespace

std::span<const Builtin> sequence_filters() {
  static const std::vector<Builtin> filters = all_filters();
  return filters;
}

const Builtin* find_filter(std::string_view name) {
  const Builtin* filter = find_builtin(scalar_filters(), name);
  return filter == nullptr ? find_builtin(sequence_filters(), name) : filter;
}

Value apply_filter(Heap& heap, std::string_view name, const Value& value,
                   const Arguments& arguments) {
  const Builtin* filter = find_filter(name);
  if (filter == nullptr) throw Error("there is no filter " + quote(name));
  return apply(*filter, heap, value, arguments);
}

}  // namespace longshadow::jinja
