#pragma once

#include <cstddef>
#include <cstdint>

#include "data/format/run_file.h"

namespace longshadow::test {

/// What a made-up run looks like. Its influence follows a known law (synthetic_run.cc), so that the
/// analysis can be compared with numbers that are computed apart from it.
struct SyntheticOptions {
  std::size_t n_documents = 1;
  std::size_t n_tokens = 593;
  std::int64_t context = 512;
  std::size_t horizon = 64;
  std::size_t n_subjects = 48;
  /// Every ninth token from the tenth on, of two groups in turn; the third as a policy evicts.
  std::size_t n_sets = 0;
  bool has_experts = false;  ///< whose changes are told
  std::int64_t lag = 16;     ///< W; under 0 the subjects leave at the context's end
  double noise_floor = 1e-11;
  std::uint64_t seed = 1;
  /// By layer in the first document, by KV head and with projections in the second, and so on.
  bool has_sketch = false;
  bool has_retention = false;  ///< of four policies at two budgets
  bool has_sentences = false;  ///< and the subjects are those of the context, instead of tokens
};

/// 3 layers, 2 key-value heads; the same options give the same run on every machine.
RunFile synthetic_run(const SyntheticOptions& options = {});

}  // namespace longshadow::test
