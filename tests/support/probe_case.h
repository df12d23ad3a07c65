#pragma once

#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "engine/checkpoint/checkpoint.h"
#include "probes/experiments/probe.h"
#include "tests/support/tiny_models.h"

namespace longshadow::test {

/// A document that is these tokens, with no text.
inline Document document_of(const std::vector<TokenId>& ids) {
  Document document{"document", "", std::string(64, '0'), {}};
  for (const TokenId id : ids) document.tokens.push_back({id, 0, 0});
  return document;
}

/// "list:3,20" for the tokens 3 and 20.
inline std::string list_of(const std::vector<std::size_t>& tokens) {
  std::string list = "list:";
  for (const std::size_t token : tokens) {
    if (list.back() != ':') list += ',';
    list += std::to_string(token);
  }
  return list;
}

/// "set:3,20" for both tokens at once.
inline std::string set_of(const std::vector<std::size_t>& tokens) {
  return "set:" + list_of(tokens).substr(5);
}

/// Makes a selection the options' subjects, whose context and sinks are there.
inline void select(ProbeOptions& options, const std::string& subjects) {
  options.subjects = parse_selection(subjects);
  options.policies = std::make_shared<SelectedPolicies>(
      make_selected_policies(options.subjects, options.context, options.n_sinks, {}));
}

/// What probe_document() measures in T, with no word on the way.
template <class T, class Device>
DocumentRun probe(Device& device, const Checkpoint& checkpoint, const std::vector<TokenId>& ids,
                  ProbeOptions options) {
  options.precision = sizeof(T) == 8 ? Precision::f64 : Precision::f32;
  const ProbeModel model = load_probe_model(device, checkpoint, options.precision);
  std::ostringstream log;
  return probe_document(device, model, checkpoint.tokenizer(), document_of(ids), options,
                        ProgressStyle::none, log);
}

/// The rows one after the other.
inline std::vector<double> flat(const std::vector<std::vector<double>>& rows) {
  std::vector<double> values;
  for (const auto& row : rows) values.insert(values.end(), row.begin(), row.end());
  return values;
}

}  // namespace longshadow::test
