#include "probes/cost/model_size.h"

#include "engine/model/weights.h"

namespace longshadow {

std::size_t parameter_count(const ModelConfig& config) {
  std::size_t parameters = 0;
  for (const WeightName& weight : weight_table(config)) parameters += weight.rows * weight.cols;
  return parameters;
}

std::size_t active_parameter_count(const ModelConfig& config) {
  std::size_t parameters = 0;
  for (const WeightName& weight : weight_table(config)) {
    // All experts of a layer have one size.
    if (weight.expert < config.experts.chosen || weight.expert == 0) {
      parameters += weight.rows * weight.cols;
    }
  }
  return parameters;
}

std::size_t cache_elements(const ModelConfig& config) {
  return 2 * config.n_layers * config.n_kv_heads * config.head_dim;
}

std::size_t cache_elements_beyond_windows(const ModelConfig& config) {
  std::size_t layers = 0;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    if (config.window(layer) == 0) ++layers;
  }
  return 2 * layers * config.n_kv_heads * config.head_dim;
}

}  // namespace longshadow
