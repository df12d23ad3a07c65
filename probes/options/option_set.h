#pragma once

#include <boost/program_options.hpp>
#include <deque>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/core/error.h"

namespace longshadow {

/// Text that a subcommand's --help shows around the options.
struct CommandHelp {
  std::string usage;     ///< after "Usage: longshadow "
  std::string purpose;   ///< a short paragraph
  std::string examples;  ///< lines ready to be pasted
};

/// Where the value of an option goes, how it is read, and what it is where it is not given.
struct OptionValue {
  boost::program_options::value_semantic* semantic;  ///< owned by the set that it is added to
  /// The option as a member of a run's configuration.
  std::function<nlohmann::json(const boost::program_options::variable_value&)> to_json;
  /// Reads what was typed, where Boost does not. Throws UsageError, which need not name the option.
  std::function<void(const std::string& text)> read{};
};

/// A number or a text; `target` holds the default.
template <class T>
OptionValue value(T& target) {
  return {boost::program_options::value(&target)->default_value(target),
          [](const auto& given) { return nlohmann::json(given.template as<T>()); }};
}

/// A number or a text whose default --help describes as `shown`.
template <class T>
OptionValue value(T& target, const char* shown) {
  return {boost::program_options::value(&target)->default_value(target, shown),
          [](const auto& given) { return nlohmann::json(given.template as<T>()); }};
}

/// A value that may be absent.
template <class T>
OptionValue value(std::optional<T>& target) {
  return {boost::program_options::value<T>()->notifier([&](const T& given) { target = given; }),
          [](const auto& given) { return nlohmann::json(given.template as<T>()); }};
}

/// False where it is not given.
OptionValue flag(bool& target);

/// A value without a default, which must be given.
template <class T>
OptionValue required(T& target) {
  return {boost::program_options::value(&target)->required(),
          [](const auto& given) { return nlohmann::json(given.template as<T>()); }};
}

using Words = std::vector<std::string>;

/// Words up to the next option: one at least, or `target` where there are none.
OptionValue required_list(Words& target);
OptionValue list(Words& target, const char* shown);

/// The member of a configuration for an option that was read as `target`: a number as such, and
/// anything else as it was typed.
template <class T>
nlohmann::json as_member(const T& target, const boost::program_options::variable_value& typed) {
  if constexpr (std::is_arithmetic_v<T>) return target;
  return typed.as<std::string>();
}

/// A value that read(text) makes of the text, or of `standard` without one; --help describes the
/// default as `shown`. The function throws UsageError saying what it expected, to which the set
/// adds the option and its text.
template <class T, class Read>
OptionValue parsed(T& target, Read read, const std::string& standard, const std::string& shown) {
  return {boost::program_options::value<std::string>()->default_value(standard, shown),
          [&target](const auto& typed) { return as_member(target, typed); },
          [&target, read](const std::string& text) { target = read(text); }};
}

template <class T, class Read>
OptionValue parsed(T& target, Read read, const std::string& standard) {
  return parsed(target, read, standard, standard);
}

/// Throws UsageError: "expected auto, yes or no".
[[noreturn]] void refuse_choice(std::span<const std::string> names);

/// One of some names, each of which stands for a value. The first is the default.
template <class T>
OptionValue choice(T& target, std::vector<std::pair<std::string, T>> choices) {
  const std::string standard = choices.front().first;
  const auto read = [choices = std::move(choices)](const std::string& text) {
    std::vector<std::string> names;
    for (const auto& [name, meaning] : choices) {
      if (text == name) return meaning;
      names.push_back(name);
    }
    refuse_choice(names);
  };
  return parsed(target, read, standard);
}

/// One of some values by the names that name_of() gives them.
template <class T>
OptionValue choice_by_name(T& target, std::initializer_list<T> values) {
  std::vector<std::pair<std::string, T>> choices;
  for (const T one : values) choices.emplace_back(name_of(one), one);
  return choice(target, std::move(choices));
}

/// When an option may be given, and what is said where it is given all the same.
struct Condition {
  std::function<bool()> holds;  ///< asked after all options are read
  std::string otherwise;        ///< after the option's name: "is for --chat; add it"
};

/// The options of a command, each declared once: its name, its value, its help and what it has to
/// do with the run that the command measures. A run's configuration, of which its hash is made, is
/// all that the measured values depend on, and it is written from these declarations. What options
/// are bound to must outlive the set.
class OptionSet {
 public:
  /// Properties of an option beside its name, value and help. A command that measures a run states
  /// one of the first five of each of its options.
  class Declaration {
   public:
    /// The configuration has the value under `key`: "sketch/probes" is the member probes of sketch.
    Declaration& decides(const std::string& key);
    /// As decides(), but only where the option is given: for one that came when there were runs
    /// already, whose hash must stay.
    Declaration& decides_if_given(const std::string& key);
    /// The configuration has under `key` what the command finds that the value comes to, such as a
    /// file's digest for its path.
    Declaration& leads_to(const std::string& key);
    /// As leads_to(), but the command may find nothing.
    Declaration& may_lead_to(const std::string& key);
    /// No measured value depends on it.
    Declaration& leaves_no_trace();
    /// The option is refused where the condition does not hold, and the configuration does not have
    /// it there.
    Declaration& only(const Condition& condition);

   private:
    friend class OptionSet;
    enum class Role { undeclared, decides, decides_if_given, leads_to, may_lead_to, no_trace };

    Declaration& play(Role role, const std::string& key);
    bool applies() const { return !condition_ || condition_->holds(); }

    std::string name_;  ///< "context"
    OptionValue value_;
    Role role_ = Role::undeclared;
    std::string key_;
    std::optional<Condition> condition_;
  };

  explicit OptionSet(CommandHelp help) : help_(std::move(help)) {}

  /// Adds an option: "context,T" for --context and -T.
  Declaration& add(const std::string& name, const OptionValue& value, const std::string& help);
  /// Words that follow no option are values of this one, `count` at most, or any number for -1.
  void take_words(const std::string& name, int count);

  /// Parses a command's words and runs `body`, whose exit status is returned; where --help is among
  /// them, prints the help on `out` instead. Throws UsageError on an unknown, repeated or malformed
  /// option. In the messages of Errors from `body`, a parameter that the library puts in backquotes
  /// becomes the option that sets it, --entropy-top-k for `entropy_top_k`, and so does a member of
  /// a run's configuration, --pos for `documents/0/pos_sha256`.
  int run(std::span<const std::string> words, std::ostream& out, const std::function<int()>& body);

  /// Whether the words had the option.
  bool given(const std::string& name) const;

  /// Writes the configuration of a run. `found` has what options lead to, and what comes of no
  /// option. Throws Error where an option's declaration does not say what it has to do with a run,
  /// or where nothing was found that it leads to.
  nlohmann::json configuration(nlohmann::json found) const;

 private:
  bool parse(std::span<const std::string> words, std::ostream& out);
  std::optional<std::string> option_of(const std::string& parameter) const;
  std::string in_options(const std::string& message) const;

  CommandHelp help_;
  boost::program_options::options_description options_{"Options"};
  boost::program_options::positional_options_description positional_;
  std::deque<Declaration> declarations_;
  boost::program_options::variables_map parsed_;
};

}  // namespace longshadow
