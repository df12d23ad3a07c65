#include <algorithm>
#include <vector>

#include "engine/cuda/launch.h"
#include "engine/cuda/product.h"
#include "engine/ops/common/logit_cap.h"
#include "engine/ops/common/vocabulary_tile_cuda.h"
#include "engine/ops/vocabulary/prediction.h"
#include "engine/ops/vocabulary/top_k_cuda.h"
#include "engine/ops/vocabulary/top_k_entropy.h"

// Nothing is screened: the exact product is what the output matrix is of the model, 7% for a Llama
// of 8B. Of a tile's logits the k largest leave.
namespace longshadow {
namespace {

/// Rows whose logits exist at a time.
constexpr std::size_t kRows = 4096;

/// A warp a row: a tile of logits of the tokens from first_token on; top [rows, k].
template <class T>
__global__ void top_k_kernel(MatrixView<const T> logits, int first_token, int k, T* top) {
  const std::size_t r = global_warp();
  if (r >= logits.rows) return;
  offer_top_k(logits.row(r), static_cast<int>(logits.cols), first_token, k,
              top + r * static_cast<std::size_t>(k));
}

template <class T>
void entropies_of_top_k_on_cuda(Cuda& device, MatrixView<const T> hidden,
                                const PackedWeights& packed_output, double logit_cap, std::size_t k,
                                std::span<float> entropies) {
  const MatrixView<const T> output = packed_output.rows().as<T>();
  const std::size_t n_rows = std::min(kRows, entropies.size());
  const DeviceArray<T> logits(device, n_rows * std::min(kVocabularyTile, output.rows));
  const DeviceArray<T> top(device, n_rows * k);
  std::vector<T> tops(n_rows * k);
  for (std::size_t first = 0; first < entropies.size(); first += kRows) {
    const std::size_t rows = std::min(kRows, entropies.size() - first);
    for_each_vocabulary_tile(output.rows, [&](const Range& tokens) {
      const MatrixView<T> tile = logits.rows(rows, tokens.size());
      product(device, hidden.row_range(first, rows), output.row_range(tokens.begin, tokens.size()),
              RightFactor::by_output, tile, false);
      launch_rows(device, top_k_kernel<T>, rows, MatrixView<const T>(tile),
                  static_cast<int>(tokens.begin), static_cast<int>(k), top.data());
    });
    top.copy_to(std::span(tops));
    for (std::size_t r = 0; r < rows; ++r) {
      const auto of_row = std::span<T>(tops).subspan(r * k, k);
      if (logit_cap != 0) cap_logits(of_row.data(), k, logit_cap);
      entropies[first + r] = static_cast<float>(entropy_of_top_k(std::span<const T>(of_row), k));
    }
  }
}

}  // namespace

void implement_entropies_of_top_k() {
  EntropiesOfTopKKernel::implement([](Cuda& device, ConstTensorView hidden,
                                      const PackedWeights& packed_output, double logit_cap,
                                      std::size_t k, std::span<float> entropies) {
    with_element<float, double>("entropies_of_top_k", hidden.element, [&]<class T>() {
      entropies_of_top_k_on_cuda<T>(device, hidden.as<T>(), packed_output, logit_cap, k, entropies);
    });
  });
}

}  // namespace longshadow
