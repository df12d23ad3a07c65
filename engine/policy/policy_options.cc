#include "engine/policy/policy_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include "engine/core/error.h"
#include "engine/text/nearest_name.h"

namespace longshadow {
namespace {

template <class Number>
bool parse(const std::string& text, Number& value) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() && end == text.data() + text.size();
}

std::string shortest(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

}  // namespace

std::filesystem::path learned_folder(const PolicyModel& model) {
  constexpr std::size_t kDigits = 16;
  return model.cache / model.weights_sha256().substr(0, kDigits);
}

PolicyOptions::PolicyOptions(std::string_view policy, std::string_view text,
                             const PolicyModel& model, std::string_view wrapped)
    : policy_(policy), model_(model), wrapped_(wrapped) {
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      if (file_) refuse_item(item);
      file_ = item;
      continue;
    }
    const std::string name(item.substr(0, equals));
    if (!values_.emplace(name, item.substr(equals + 1)).second) {
      throw UsageError("policy " + policy_ + ": the option " + name + " is given twice");
    }
  }
}

std::size_t PolicyOptions::whole(std::string_view name, std::size_t standard, std::size_t lowest) {
  const std::string* text = read(name);
  if (text == nullptr) return standard;
  std::uint32_t value = 0;
  if (!parse(*text, value) || value < lowest) {
    refuse(name, "a whole number of at least " + std::to_string(lowest), *text);
  }
  return value;
}

double PolicyOptions::real(std::string_view name, double standard, double lowest, double highest) {
  const std::string* text = read(name);
  if (text == nullptr) return standard;
  double value = 0;
  if (!parse(*text, value) || !std::isfinite(value) || value < lowest || value > highest) {
    const std::string limit = std::isfinite(highest) ? " and at most " + shortest(highest) : "";
    refuse(name, "a number of at least " + shortest(lowest) + limit, *text);
  }
  return value;
}

std::size_t PolicyOptions::choice(std::string_view name, std::span<const std::string_view> words) {
  const std::string* text = read(name);
  if (text == nullptr) return 0;
  const auto found = std::find(words.begin(), words.end(), *text);
  if (found == words.end()) refuse(name, "one of " + comma_list(words), *text);
  return static_cast<std::size_t>(found - words.begin());
}

std::filesystem::path PolicyOptions::file(const std::string& standard) {
  takes_file_ = true;
  if (!model_.weights_sha256) {
    throw UsageError("policy " + policy_ + ": reads a file made for one model, and none is given");
  }
  const std::filesystem::path path =
      file_ ? std::filesystem::path(*file_) : learned_folder(model_) / standard;
  std::error_code ignored;  // what cannot be examined is not there
  if (std::filesystem::exists(path, ignored)) return path;
  throw UsageError("policy " + policy_ + ": expected " + path.string() + ", found no such file" +
                   (model_.recipe ? "; make it in two minutes: " + model_.recipe(wrapped_) : ""));
}

std::vector<std::int32_t> PolicyOptions::tokens(std::string_view text) const {
  if (!model_.encode) {
    throw UsageError("policy " + policy_ + ": has the model read a text, and no model is given");
  }
  return model_.encode(text);
}

void PolicyOptions::refuse_unknown() const {
  if (file_ && !takes_file_) refuse_item(*file_);
  const auto unknown = std::find_if(values_.begin(), values_.end(), [&](const auto& option) {
    return std::find(known_.begin(), known_.end(), option.first) == known_.end();
  });
  if (unknown == values_.end()) return;
  const std::string refusal = "policy " + policy_ + " has no option \"" + unknown->first + "\"; ";
  if (known_.empty()) throw UsageError(refusal + "it has none");
  throw UsageError(refusal + "did you mean " + std::string(nearest_name(unknown->first, known_)) +
                   "? It has " + comma_list(known_));
}

void PolicyOptions::refuse_item(std::string_view item) const {
  throw UsageError("policy " + policy_ + ": expected options as in \"window=32,kernel=7\", " +
                   "found \"" + std::string(item) + "\"");
}

const std::string* PolicyOptions::read(std::string_view name) {
  known_.push_back(name);
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

void PolicyOptions::refuse(std::string_view name, const std::string& expected,
                           std::string_view found) const {
  throw UsageError("policy " + policy_ + ", option " + std::string(name) + ": expected " +
                   expected + ", found \"" + std::string(found) + "\"");
}

}  // namespace longshadow
