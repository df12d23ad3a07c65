#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace boost::program_options {
class value_semantic;
class variable_value;
}  // namespace boost::program_options

namespace longshadow {

/// Text that a subcommand's --help shows around the options.
struct CommandHelp {
  std::string usage;     ///< after "Usage: longshadow "
  std::string purpose;   ///< a short paragraph
  std::string examples;  ///< lines ready to be pasted
};

/// A number or a text that an option is bound to.
class Target {
 public:
  Target(std::string& text) : place_(&text) {}
  Target(std::size_t& number) : place_(&number) {}
  Target(double& number) : place_(&number) {}

  /// Calls visitor with the pointer to what it is.
  template <class Visitor>
  auto visit(const Visitor& visitor) const {
    return std::visit(visitor, place_);
  }

 private:
  std::variant<std::string*, std::size_t*, double*> place_;
};

/// Where the value of an option goes, how it is read, and what it is where it is not given. Boost's
/// types are named and not included: this header is seen by every command.
struct OptionValue {
  /// Makes what Boost parses the option by, which owns that.
  std::function<boost::program_options::value_semantic*()> semantic;
  /// The option as a member of a run's configuration.
  std::function<nlohmann::json(const boost::program_options::variable_value&)> to_json;
  /// Reads what was typed, where Boost does not. Throws UsageError, which need not name the option.
  std::function<void(const std::string& text)> read{};
};

/// A number or a text; the target holds the default.
OptionValue value(const Target& target);

/// A number or a text whose default --help describes as `shown`.
OptionValue value(const Target& target, const std::string& shown);

/// A value that may be absent.
OptionValue value(std::optional<std::string>& target);
OptionValue value(std::optional<std::size_t>& target);
OptionValue value(std::optional<double>& target);

/// False where it is not given.
OptionValue flag(bool& target);

/// A text without a default, which must be given.
OptionValue required(std::string& target);

using Words = std::vector<std::string>;

/// Words up to the next option: one at least, or `target` where there are none.
OptionValue required_list(Words& target);
OptionValue list(Words& target, const char* shown);

/// A value that read(text) makes of the text, or of `standard` without one; --help describes the
/// default as `shown`. A configuration has it as it was typed, or where it is a number as that,
/// which `number` then is. The function throws UsageError saying what it expected, to which the set
/// adds the option and its text.
OptionValue parsed_text(std::function<void(const std::string& text)> read,
                        const std::optional<Target>& number, const std::string& standard,
                        const std::string& shown);

/// parsed_text() into `target`.
template <class T, class Read>
OptionValue parsed(T& target, Read read, const std::string& standard, const std::string& shown) {
  std::optional<Target> number;
  if constexpr (std::is_arithmetic_v<T>) number = target;
  return parsed_text([&target, read](const std::string& text) { target = read(text); }, number,
                     standard, shown);
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

  explicit OptionSet(CommandHelp help);
  ~OptionSet();

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

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace longshadow
