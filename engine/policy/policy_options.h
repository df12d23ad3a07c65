#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace longshadow {

/// The model whose cache is compressed, as far as a policy must know it before it sees the cache.
struct PolicyModel {
  std::size_t n_layers = 0;    ///< L
  std::size_t n_kv_heads = 0;  ///< K
  /// SHA-256 of its weight files, hexadecimal. Called only where a policy reads a file, as it reads
  /// the model; empty: there is no model, and a policy that reads a file is refused.
  std::function<std::string()> weights_sha256{};
  /// The folder where `longshadow learn` leaves its files, in a folder for each model.
  std::filesystem::path cache{};
  /// Says how a file is made that is not there: budgets for the ranking of a policy or, where that
  /// is empty, a ranking. Empty: nobody can say.
  std::function<std::string(const std::string& ranking)> recipe{};
  /// A text's tokens, in which the spelling of a special token is plain text. Empty: there is no
  /// model, and a policy that has it read a text is refused.
  std::function<std::vector<std::int32_t>(std::string_view)> encode{};
};

/// The folder of the model's learnt files in PolicyModel::cache.
std::filesystem::path learned_folder(const PolicyModel& model);

/// The options of one policy, "window=32,kernel=7" or, where one is a file, "FILE,window=32". A
/// policy's factory reads each by its name with its default; what is left unread is unknown. All
/// throw UsageError.
class PolicyOptions {
 public:
  /// `policy` is named in messages; `wrapped` is the policy that it wraps, as make_policy() reads
  /// it. The model must outlive the options.
  PolicyOptions(std::string_view policy, std::string_view text, const PolicyModel& model,
                std::string_view wrapped = {});

  std::size_t whole(std::string_view name, std::size_t standard, std::size_t lowest = 0);
  double real(std::string_view name, double standard, double lowest,
              double highest = std::numeric_limits<double>::infinity());
  /// The index of the word given, one of `words`; the first is the default.
  std::size_t choice(std::string_view name, std::span<const std::string_view> words);

  /// The file given, or the one named `standard` that `longshadow learn` left for the model. Throws
  /// where it is not there, with the model's recipe for it.
  std::filesystem::path file(const std::string& standard);
  /// The model's tokens of a text that the policy has it read. Throws where there is no model.
  std::vector<std::int32_t> tokens(std::string_view text) const;
  const PolicyModel& model() const { return model_; }
  const std::string& wrapped() const { return wrapped_; }

  /// Throws for an option that nobody read, and suggests the nearest of those that were.
  void refuse_unknown() const;

 private:
  /// nullptr where the option is not given.
  const std::string* read(std::string_view name);
  [[noreturn]] void refuse_item(std::string_view item) const;
  [[noreturn]] void refuse(std::string_view name, const std::string& expected,
                           std::string_view found) const;

  std::string policy_;
  const PolicyModel& model_;
  std::string wrapped_;
  std::optional<std::string> file_;
  bool takes_file_ = false;
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string_view> known_;  ///< string literals of the factories
};

}  // namespace longshadow
