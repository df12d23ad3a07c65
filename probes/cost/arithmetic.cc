#include "probes/cost/arithmetic.h"

#include <algorithm>

#include "engine/parts/layer.h"

namespace longshadow {
namespace {

double layer_flops(const ModelConfig& config, std::size_t rows) {
  std::size_t matrices = 0;
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    matrices += Layer::size(config, layer).matrices_of_row;
  }
  return 2.0 * static_cast<double>(rows) * static_cast<double>(matrices);
}

}  // namespace

double output_flops(const ModelConfig& config, std::size_t rows) {
  return 2.0 * static_cast<double>(rows) *
         static_cast<double>(config.vocab_size * config.hidden_size);
}

double product_flops(const ModelConfig& config, std::size_t rows) {
  return layer_flops(config, rows) + output_flops(config, rows);
}

double attention_flops(const ModelConfig& config, std::size_t rows, std::size_t prefix,
                       Method method) {
  const double own = static_cast<double>(rows) / (method == Method::differential ? 1 : 2);
  double columns = 0;  // that a row looks at, over the layers
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    const double all = static_cast<double>(prefix) + own;
    const auto window = static_cast<double>(config.window(layer));
    columns += window != 0 ? std::min(all, window) : all;
  }
  return 4.0 * static_cast<double>(config.n_heads * config.head_dim * rows) * columns;
}

double prefill_flops(const ModelConfig& config, std::size_t context) {
  return layer_flops(config, context) + attention_flops(config, context, 0, Method::direct);
}

double output_share_of_prefill(const ModelConfig& config, std::size_t context) {
  const double output = output_flops(config, context);
  return output / (output + prefill_flops(config, context));
}

}  // namespace longshadow
