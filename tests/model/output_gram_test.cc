#include "engine/model/output_gram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "engine/checkpoint/checkpoint.h"
#include "tests/support/devices.h"
#include "tests/support/tiny_models.h"
#include "tests/support/twins.h"

namespace longshadow {
namespace {

TEMPLATE_TEST_CASE("the output weights' products are those of the file's matrices", "",
                   test::CpuF32, test::CpuF64, test::CudaF32, test::CudaF64) {
  using T = typename TestType::T;
  test::UnderTest<typename TestType::Device> on;
  const auto checkpoint = open_checkpoint(test::kTinyModels / "llama_llama3");
  const ModelConfig& config = checkpoint->config();
  const std::size_t d = config.head_dim,
                    group = GENERATE_REF(as<std::size_t>(), 1, config.group_size());
  const auto grams =
      output_grams(on.device, load_weights(on.device, *checkpoint, element_of<T>()), group);
  REQUIRE(grams.size() == config.n_layers);
  for (std::size_t layer = 0; layer < config.n_layers; ++layer) {
    std::vector<float> w(config.hidden_size * config.n_heads * d);  // [D, H d]
    const std::vector<WeightName> names = weight_table(config);
    const auto name = std::find_if(names.begin(), names.end(), [&](const WeightName& one) {
      return one.kind == WeightKind::attention_output && one.layer == layer;
    });
    checkpoint->read(*name, w);
    for (std::size_t head = 0; head < config.n_heads / group; ++head) {
      for (std::size_t a = 0; a < d; ++a) {
        for (std::size_t b = 0; b < d; ++b) {
          double expected = 0, size = 0;
          for (std::size_t h = head * group; h < (head + 1) * group; ++h) {
            for (std::size_t i = 0; i < config.hidden_size; ++i) {
              const float* row = &w[i * config.n_heads * d + h * d];
              const double product = double(row[a]) * row[b] / double(group);
              expected += product;
              size += std::abs(product);
            }
          }
          // A sum of D products for each of the group's heads, and the mean.
          const double terms = double(config.hidden_size * group) + 2;
          CHECK(std::abs(grams[layer].row(head * d + a)[b] - expected) <=
                terms * twin::unit_roundoff<float> * size);
        }
      }
    }
  }
}

}  // namespace
}  // namespace longshadow
