#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/format/run_file.h"

namespace longshadow {

/// Which tokens of a sketched document are measured exactly.
struct ScreenOptions {
  double exact_share = 0.1;     ///< of the tokens: the highest in the first bin, and in the last
  std::size_t n_control = 128;  ///< drawn from all tokens; as many as there are, if fewer
};

/// A token to measure, and why.
struct ScreenedToken {
  std::size_t token;
  std::string group;
};

/// In order of position, each token once, in the first of these groups that it is in:
///   control  a random sample of all T tokens, whatever the sketch says: what the sketch is held to
///   first    token 0, which holds more attention than a second-order estimate can follow
///   recent   the newest 64 tokens, some of which do
///   top      the highest share of the first and of the last bin, by the sketch
std::vector<ScreenedToken> screen(const RunSketch& sketch, std::size_t context,
                                  const ScreenOptions& options, std::uint64_t seed);

}  // namespace longshadow
