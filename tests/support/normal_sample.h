#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace longshadow::test {

inline std::vector<double> normal_sample(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<double> values(n);
  for (double& value : values) value = normal(random);
  return values;
}

}  // namespace longshadow::test
