#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace longshadow {

/// Tests "the values are symmetric about 0", two-sided, by flipping their signs (Fisher's
/// randomisation test): p is the share of sign patterns whose |mean| is at least the one seen. All
/// 2^n patterns up to n = 16, else 9,999 drawn ones and the one seen. NaN without values.
double sign_flip_p(std::span<const double> values, std::uint32_t seed);

/// The pairs of one document, centred.
struct CentredPairs {
  std::vector<double> x;
  std::vector<double> y;  ///< as many
};

/// Tests "x says nothing of y", two-sided: y is shuffled within its document 1,999 times, and p is
/// the share of shuffles, with the order seen, whose mean correlation over documents is at least as
/// far from 0. NaN where no document has a correlation.
double shuffle_p(std::span<const CentredPairs> documents, std::uint32_t seed);

/// Holm's step-down correction (1979) for testing several claims at once: the p-values, in their
/// order, each as large as to keep the chance of any false rejection below the level it is compared
/// with. NaN is no test and stays.
std::vector<double> holm(std::span<const double> p);

}  // namespace longshadow
