#include <algorithm>
#include <cmath>

#include "engine/policies/policies.h"
#include "engine/policy/window_attention.h"

namespace longshadow {
namespace {

/// SnapKV's scores with budgets that fall from layer to layer (Cai et al. 2024, PyramidKV: Dynamic
/// KV Cache Compression based on Pyramidal Information Funneling, arXiv 2406.02069).
class PyramidKv final : public Policy {
 public:
  PyramidKv(const WindowAttention& attention, double beta, std::size_t n_sink)
      : Policy(attention.traits(n_sink)), attention_(attention), beta_(beta) {}

  TokenScores scores(const LayerView& view) const override { return attention_.scores(view); }

  /// A straight line from `most` in the first layer to `least` in the last, with no layer over what
  /// the window leaves; the same budget everywhere where the last layer's would not hold the
  /// window.
  std::vector<std::size_t> budget(const CacheShape& shape, std::size_t n,
                                  double compression) const override {
    const double tokens = static_cast<double>(n);
    const double window = static_cast<double>(attention_.window);
    const double mean = tokens * (1 - compression);
    double least = mean / beta_;
    double most = mean * 2 - least;
    if (most >= tokens - window) {
      most = tokens - window;
      least = mean * 2 - most;
    }
    const bool is_pyramid = tokens >= most && most >= least && least >= window;
    const double step =
        shape.n_layers > 1 ? (most - least) / static_cast<double>(shape.n_layers - 1) : 0;
    std::vector<std::size_t> slots;
    for (std::size_t layer = 0; layer < shape.n_layers; ++layer) {
      const double count = is_pyramid ? most - static_cast<double>(layer) * step : mean;
      // nearbyint rounds half to even, as Python's round does.
      slots.insert(slots.end(), shape.n_kv_heads,
                   std::max(std::size_t{1}, static_cast<std::size_t>(std::nearbyint(count))));
    }
    return slots;
  }

 private:
  WindowAttention attention_;
  double beta_;
};

}  // namespace

/// Options: window 64, kernel 5, n_sink 0; beta 20, the mean budget over the last layer's.
std::unique_ptr<Policy> make_pyramidkv(PolicyOptions& options) {
  const WindowAttention attention(options);
  const double beta = options.real("beta", 20, 1);
  return std::make_unique<PyramidKv>(attention, beta, options.whole("n_sink", 0));
}

}  // namespace longshadow
