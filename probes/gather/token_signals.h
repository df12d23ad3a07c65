#pragma once

#include <vector>

namespace longshadow {

/// Entropy and drift of every token of a text so far, as far as a policy looks at them.
struct TokenSignals {
  std::vector<float> entropy;             ///< [n] nats, of the distribution that the token predicts
  std::vector<std::vector<float>> drift;  ///< [L][n] 1 - cos(layer's output, last layer's)
};

}  // namespace longshadow
