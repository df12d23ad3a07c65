#include "probes/options/option_set.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cctype>
#include <deque>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>
#include <type_traits>

#include "engine/core/error.h"

namespace longshadow {

namespace po = boost::program_options;

namespace {

/// Throws UsageError for a negative number, which no option takes: Boost reads -1 as the largest
/// unsigned one.
void refuse_negative_numbers(const po::parsed_options& parsed) {
  for (const po::option& option : parsed.options) {
    for (const std::string& value : option.value) {
      if (value.size() > 1 && value[0] == '-' &&
          std::isdigit(static_cast<unsigned char>(value[1]))) {
        throw UsageError("--" + option.string_key + ": expected no negative number, found " +
                         value);
      }
    }
  }
}

/// The members of "documents/0/pos_sha256" without the indices: "documents/pos_sha256".
std::string key_of(const std::string& member) {
  std::string key;
  for (std::size_t begin = 0; begin < member.size();) {
    const std::size_t end = std::min(member.find('/', begin), member.size());
    const std::string part = member.substr(begin, end - begin);
    const bool is_index =
        std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!is_index) key += (key.empty() ? "" : "/") + part;
    begin = end + 1;
  }
  return key;
}

/// Whether `key` is `whole` or a member of it.
bool is_within(std::string_view key, std::string_view whole) {
  return key == whole || (key.starts_with(whole) && key[whole.size()] == '/');
}

template <class T>
nlohmann::json as_it_was_read(const po::variable_value& given) {
  return given.as<T>();
}

template <class T>
OptionValue optional_value(std::optional<T>& target) {
  return {
      [&target] { return po::value<T>()->notifier([&target](const T& given) { target = given; }); },
      as_it_was_read<T>};
}

}  // namespace

struct OptionSet::State {
  explicit State(CommandHelp of_command) : help(std::move(of_command)) {}

  CommandHelp help;
  po::options_description options{"Options"};
  po::positional_options_description positional;
  std::deque<Declaration> declarations;
  po::variables_map parsed;
};

OptionSet::OptionSet(CommandHelp help) : state_(std::make_unique<State>(std::move(help))) {}
OptionSet::~OptionSet() = default;

OptionValue value(const Target& target) {
  return target.visit([]<class T>(T* place) {
    return OptionValue{[place] { return po::value(place)->default_value(*place); },
                       as_it_was_read<T>};
  });
}

OptionValue value(const Target& target, const std::string& shown) {
  return target.visit([&]<class T>(T* place) {
    return OptionValue{[place, shown] { return po::value(place)->default_value(*place, shown); },
                       as_it_was_read<T>};
  });
}

OptionValue value(std::optional<std::string>& target) { return optional_value(target); }
OptionValue value(std::optional<std::size_t>& target) { return optional_value(target); }
OptionValue value(std::optional<double>& target) { return optional_value(target); }

OptionValue flag(bool& target) {
  return {[&target] { return po::bool_switch(&target); }, as_it_was_read<bool>};
}

OptionValue required(std::string& target) {
  return {[&target] { return po::value(&target)->required(); }, as_it_was_read<std::string>};
}

OptionValue required_list(Words& target) {
  return {[&target] { return po::value(&target)->multitoken()->required(); },
          as_it_was_read<Words>};
}

OptionValue list(Words& target, const char* shown) {
  return {
      [&target, shown] { return po::value(&target)->multitoken()->default_value(target, shown); },
      as_it_was_read<Words>};
}

OptionValue parsed_text(std::function<void(const std::string& text)> read,
                        const std::optional<Target>& number, const std::string& standard,
                        const std::string& shown) {
  const auto to_json = [number](const po::variable_value& typed) {
    if (!number) return as_it_was_read<std::string>(typed);
    return number->visit([]<class T>(T* place) {
      if constexpr (std::is_arithmetic_v<T>) return nlohmann::json(*place);
      return nlohmann::json();
    });
  };
  const auto semantic = [standard, shown] {
    return po::value<std::string>()->default_value(standard, shown);
  };
  return {semantic, to_json, std::move(read)};
}

void refuse_choice(std::span<const std::string> names) {
  std::string list = names[0];
  for (std::size_t i = 1; i < names.size(); ++i) {
    list += (i + 1 == names.size() ? " or " : ", ") + names[i];
  }
  throw UsageError("expected " + list);
}

using Declaration = OptionSet::Declaration;

Declaration& Declaration::play(Role role, const std::string& key) {
  role_ = role;
  key_ = key;
  return *this;
}

Declaration& Declaration::decides(const std::string& key) { return play(Role::decides, key); }
Declaration& Declaration::decides_if_given(const std::string& key) {
  return play(Role::decides_if_given, key);
}
Declaration& Declaration::leads_to(const std::string& key) { return play(Role::leads_to, key); }
Declaration& Declaration::may_lead_to(const std::string& key) {
  return play(Role::may_lead_to, key);
}
Declaration& Declaration::leaves_no_trace() { return play(Role::no_trace, ""); }
Declaration& Declaration::only(const Condition& condition) {
  condition_ = condition;
  return *this;
}

Declaration& OptionSet::add(const std::string& name, const OptionValue& value,
                            const std::string& help) {
  state_->options.add_options()(name.c_str(), value.semantic(), help.c_str());
  Declaration& declaration = state_->declarations.emplace_back();
  declaration.name_ = name.substr(0, name.find(','));
  declaration.value_ = value;
  return declaration;
}

void OptionSet::take_words(const std::string& name, int count) {
  state_->positional.add(name.c_str(), count);
}

bool OptionSet::parse(std::span<const std::string> words, std::ostream& out) {
  state_->options.add_options()("help,h", "show this help and exit");
  try {
    const po::parsed_options parsed =
        po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
            .options(state_->options)
            .positional(state_->positional)
            .run();
    refuse_negative_numbers(parsed);
    po::store(parsed, state_->parsed);
    if (state_->parsed.count("help") != 0) {
      out << "Usage: longshadow " << state_->help.usage << "\n\n"
          << state_->help.purpose << "\n\n"
          << state_->options << "\nExamples:\n"
          << state_->help.examples;
      return false;
    }
    po::notify(state_->parsed);
  } catch (const po::error& error) {
    throw UsageError(std::string(error.what()) + " (see --help)");
  }
  for (const Declaration& one : state_->declarations) {
    if (!one.value_.read) continue;
    const auto& text = state_->parsed[one.name_].as<std::string>();
    try {
      one.value_.read(text);
    } catch (const UsageError& error) {
      throw UsageError("--" + one.name_ + " \"" + text + "\": " + error.what());
    }
  }
  for (const Declaration& one : state_->declarations) {
    if (given(one.name_) && !one.applies()) {
      throw UsageError("--" + one.name_ + " " + one.condition_->otherwise);
    }
  }
  return true;
}

int OptionSet::run(std::span<const std::string> words, std::ostream& out,
                   const std::function<int()>& body) {
  if (!parse(words, out)) return 0;
  try {
    return body();
  } catch (const UsageError& error) {
    throw UsageError(in_options(error.what()));
  } catch (const Error& error) {
    throw Error(in_options(error.what()));
  }
}

bool OptionSet::given(const std::string& name) const {
  const po::variable_value& value = state_->parsed[name];
  return !value.empty() && !value.defaulted();
}

nlohmann::json OptionSet::configuration(nlohmann::json found) const {
  using Role = Declaration::Role;
  for (const Declaration& one : state_->declarations) {
    const nlohmann::json::json_pointer member("/" + one.key_);
    switch (one.role_) {
      case Role::undeclared:
        throw Error("--" + one.name_ + ": its declaration does not say whether a run's values " +
                    "depend on it");
      case Role::decides:
      case Role::decides_if_given:
        if (one.applies() && (one.role_ == Role::decides || given(one.name_))) {
          found[member] = one.value_.to_json(state_->parsed[one.name_]);
        }
        break;
      case Role::leads_to:
        if (one.applies() && !found.contains(one.key_.substr(0, one.key_.find('/')))) {
          throw Error("--" + one.name_ + ": the run's configuration does not say what it leads to");
        }
        break;
      case Role::may_lead_to:
      case Role::no_trace:
        break;
    }
  }
  return found;
}

std::optional<std::string> OptionSet::option_of(const std::string& parameter) const {
  const std::string key = key_of(parameter);
  const Declaration* best = nullptr;
  for (const Declaration& one : state_->declarations) {
    std::string member = one.name_;
    std::replace(member.begin(), member.end(), '-', '_');
    if (member == parameter) return "--" + one.name_;
    if (one.key_.empty() || !is_within(key, one.key_)) continue;
    if (best == nullptr || one.key_.size() > best->key_.size()) best = &one;
  }
  return best == nullptr ? std::nullopt : std::optional("--" + best->name_);
}

std::string OptionSet::in_options(const std::string& message) const {
  std::string shown = message;
  for (std::size_t begin = 0; (begin = shown.find('`', begin)) != shown.npos; ++begin) {
    const std::size_t end = shown.find('`', begin + 1);
    if (end == shown.npos) break;
    const auto option = option_of(shown.substr(begin + 1, end - begin - 1));
    if (!option) continue;
    shown.replace(begin, end + 1 - begin, *option);
    begin += option->size() - 1;
  }
  return shown;
}

}  // namespace longshadow
