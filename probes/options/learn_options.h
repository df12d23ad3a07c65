#pragma once

#include <cstddef>
#include <filesystem>
#include <iosfwd>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "engine/policy/policy_options.h"
#include "probes/learning/learning_documents.h"
#include "probes/options/model_options.h"

namespace longshadow {

class OptionSet;

/// Options of every command that learns.
struct LearnOptions {
  std::vector<std::string> runs;
  std::size_t n_sinks = 4;
  std::optional<std::string> output;
  ModelOptions model;

  /// Adds --runs, which the words after the command's name are, --sinks and --output.
  void declare(OptionSet& options, const char* sinks_help, const char* output_help);
};

/// The model and the documents that a command learns from.
struct LearnInputs {
  CommandDevice device;
  std::unique_ptr<Checkpoint> checkpoint;
  PolicyModel policy_model;
  RunModel model;
  std::vector<LearningDocument> documents;
  std::size_t context;  ///< T, of every document

  /// Opens the model, with its warnings on `log`, and reads the runs. Throws as open_model() and
  /// read_learning_documents() do.
  LearnInputs(const LearnOptions& options, std::ostream& log);

  /// Where a file that was learnt goes: what --output says, or `standard` in the model's own
  /// folder, which is made. Throws FormatError where no file can be written there.
  std::filesystem::path output(const LearnOptions& options, const std::string& standard) const;
};

/// The head of a file that was learnt, of a `format` such as "longshadow ranking".
nlohmann::ordered_json learned_header(const std::string& format, const RunModel& model);

/// Describes what a file was learnt from, for its head.
nlohmann::ordered_json described(std::span<const LearningDocument> documents);

/// The text of a file that was learnt: its head and, as the last member `name`, `rows` of JSON, one
/// a line.
std::string learned_text(const nlohmann::ordered_json& header, const std::string& name,
                         std::span<const std::string> rows);

}  // namespace longshadow
