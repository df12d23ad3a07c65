#include "probes/measure/rerouted.h"

namespace longshadow {

std::vector<PairedRows> text_rows_of(std::span<const Counterfactual> batch, std::size_t horizon) {
  std::vector<PairedRows> rows;
  for (std::size_t b = 0; b < batch.size(); ++b) {
    rows.push_back({b * horizon, horizon, batch[b].start});
  }
  return rows;
}

void share_of_rerouted(const FullPass& full, std::size_t layer, const Routes& routes,
                       std::span<const PairedRows> text_rows, std::span<double> rerouted) {
  if (rerouted.empty()) return;
  const std::size_t n_layers = full.experts.size();
  const std::size_t k = full.experts[layer].size() / full.tokens.size();
  const auto experts_of = [k](std::span<const std::int32_t> experts, std::size_t row) {
    return experts.subspan(row * k, k);
  };
  for (std::size_t b = 0; b < text_rows.size(); ++b) {
    const PairedRows& rows = text_rows[b];
    std::size_t n_changed = 0;
    for (std::size_t r = 0; r < rows.n_rows; ++r) {
      n_changed += !same_experts(experts_of(routes.experts, rows.first_row + r),
                                 experts_of(full.experts[layer], rows.full_row + r));
    }
    rerouted[b * n_layers + layer] =
        static_cast<double>(n_changed) / static_cast<double>(rows.n_rows);
  }
}

}  // namespace longshadow
