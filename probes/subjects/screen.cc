#include "probes/subjects/screen.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "data/format/schema.h"
#include "probes/subjects/subjects.h"

namespace longshadow {
namespace {

constexpr std::size_t kRecent = 64;

/// The tokens of the highest estimates in one bin, among equals the earlier ones.
std::vector<std::size_t> highest(const RunSketch& sketch, std::size_t bin, std::size_t context,
                                 std::size_t count) {
  const float* fi = sketch.fi.data() + bin * context;
  std::vector<std::size_t> tokens(context);
  std::iota(tokens.begin(), tokens.end(), std::size_t{0});
  std::stable_sort(tokens.begin(), tokens.end(),
                   [&](std::size_t a, std::size_t b) { return fi[a] > fi[b]; });
  tokens.resize(count);
  return tokens;
}

}  // namespace

std::vector<ScreenedToken> screen(const RunSketch& sketch, std::size_t context,
                                  const ScreenOptions& options, std::uint64_t seed) {
  std::vector<std::string> group_of(context);
  const auto put = [&](std::size_t token, const char* group) {
    if (group_of[token].empty()) group_of[token] = group;
  };
  std::mt19937_64 random(seed);
  for (const std::size_t token : draw(std::min(options.n_control, context), context, random)) {
    put(token, schema::kControlGroup);
  }
  put(0, "first");
  for (std::size_t i = context - std::min(kRecent, context); i < context; ++i) put(i, "recent");
  const auto count =
      static_cast<std::size_t>(std::ceil(options.exact_share * static_cast<double>(context)));
  for (const std::size_t bin : {std::size_t{0}, sketch.bins.size() - 1}) {
    for (const std::size_t token : highest(sketch, bin, context, count)) put(token, "top");
  }
  std::vector<ScreenedToken> screened;
  for (std::size_t token = 0; token < context; ++token) {
    if (!group_of[token].empty()) screened.push_back({token, group_of[token]});
  }
  return screened;
}

}  // namespace longshadow
