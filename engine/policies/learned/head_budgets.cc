#include "engine/policies/learned/head_budgets.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/sha256.h"
#include "engine/io/json.h"
#include "engine/io/mapped_file.h"
#include "engine/policies/learned/learned.h"
#include "engine/policies/learned/learned_file.h"
#include "engine/policy/wrapper.h"

namespace longshadow {
namespace {

/// Of a share: files write six digits.
constexpr double kRounding = 1e-6;

void refuse(const std::string& source, const std::string& what) {
  throw Error(source + ": " + what);
}

/// A number in [0, 1] of a list.
double share_in(const nlohmann::json& value, const std::string& where) {
  const double share = value.is_number() ? value.get<double>() : -1;
  if (!(share >= 0 && share <= 1)) refuse(where, "expected numbers from 0 to 1");
  return share;
}

/// The shares of one budget, [L, K], behind those that are there.
void add_shares(const nlohmann::json& layers, double budget, HeadBudgets& table,
                const std::string& where) {
  check_length(layers, table.shape.n_layers, where);
  double sum = 0;
  for (const nlohmann::json& heads : layers) {
    check_length(heads, table.shape.n_kv_heads, where);
    for (const nlohmann::json& head : heads) {
      table.shares.push_back(share_in(head, where));
      sum += table.shares.back();
    }
  }
  const double mean = sum / static_cast<double>(table.shape.n_layers * table.shape.n_kv_heads);
  if (std::abs(mean - budget) > kRounding) {
    refuse(where, "expected shares whose mean is the budget " + std::to_string(budget) +
                      ", found a mean of " + std::to_string(mean));
  }
}

/// [L, K] shares at any budget.
std::vector<double> shares_at(const HeadBudgets& table, double budget) {
  const std::size_t n_heads = table.shape.n_layers * table.shape.n_kv_heads;
  const auto above = std::lower_bound(table.budgets.begin(), table.budgets.end(), budget);
  const auto row = static_cast<std::size_t>(above - table.budgets.begin());
  const double from = row == 0 ? 0 : table.budgets[row - 1];
  const double to = above == table.budgets.end() ? 1 : *above;
  const double weight = to > from ? (budget - from) / (to - from) : 0;
  std::vector<double> shares(n_heads);
  for (std::size_t head = 0; head < n_heads; ++head) {
    const double low = row == 0 ? 0 : table.shares[(row - 1) * n_heads + head];
    const double high = above == table.budgets.end() ? 1 : table.shares[row * n_heads + head];
    shares[head] = low + weight * (high - low);
  }
  return shares;
}

/// `shares` of n slots, `least` at least, times the factor that makes their sum `total`, which
/// without one it is not under.
std::vector<double> scaled(const std::vector<double>& shares, double n, double least,
                           double total) {
  const auto at = [&](double factor) {
    std::vector<double> slots;
    for (const double share : shares) slots.push_back(std::max(factor * share * n, least));
    return slots;
  };
  const auto sum = [](const std::vector<double>& slots) {
    return std::accumulate(slots.begin(), slots.end(), 0.0);
  };
  double low = 0, high = 1;
  constexpr int kHalvings = 53;  // the bits of a double
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = (low + high) / 2;
    (sum(at(middle)) < total ? low : high) = middle;
  }
  return at(high);
}

/// Whole numbers whose sum is `total`, each the slots' own rounded down or up, and at most n.
std::vector<std::size_t> rounded(const std::vector<double>& slots, std::size_t n,
                                 std::size_t total) {
  std::vector<std::size_t> whole, order(slots.size());
  for (const double one : slots) whole.push_back(static_cast<std::size_t>(one));
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return slots[a] - std::floor(slots[a]) > slots[b] - std::floor(slots[b]);
  });
  std::size_t given = std::accumulate(whole.begin(), whole.end(), std::size_t{0});
  while (given < total) {
    for (const std::size_t head : order) {
      if (given == total) break;
      if (whole[head] == n) continue;
      ++whole[head];
      ++given;
    }
  }
  return whole;
}

/// As many slots for each KV head as were learnt that it deserves, under any ranking.
class HeadBudgetsPolicy final : public Wrapper {
 public:
  HeadBudgetsPolicy(const PolicyTraits& traits, std::unique_ptr<Policy> scorer, HeadBudgets table)
      : Wrapper(traits, std::move(scorer)), table_(std::move(table)) {}

  std::vector<std::size_t> budget(const CacheShape&, std::size_t n,
                                  double compression) const override {
    // A slot at least: a head without keys has no attention.
    return slots_by_head(table_, n, n_kept(n, compression),
                         std::max<std::size_t>(traits().n_sink, 1));
  }

 private:
  HeadBudgets table_;
};

}  // namespace

std::string budgets_file(const std::string& ranking) {
  std::string name = "budgets-" + ranking + ".json";
  std::replace(name.begin(), name.end(), '/', '+');
  return name;
}

HeadBudgets read_head_budgets(const std::filesystem::path& path, const PolicyModel& model) {
  const MappedFile mapped(path);
  const std::string source = path.string();
  const nlohmann::json file = parse_json(mapped.bytes(), source);
  check_learned_file(file, "longshadow head budgets", "budgets", model, source);
  HeadBudgets table{{model.n_layers, model.n_kv_heads}, {}, {}};
  for (const nlohmann::json& budget : json_array_at(file, "budgets", source)) {
    const double share = share_in(budget, source + ": budgets");
    if (share <= (table.budgets.empty() ? 0 : table.budgets.back())) {
      refuse(source + ": budgets", "expected numbers above 0 that ascend");
    }
    table.budgets.push_back(share);
  }
  if (table.budgets.empty()) refuse(source + ": budgets", "expected at least one");
  const nlohmann::json& shares = json_array_at(file, "shares", source);
  check_length(shares, table.budgets.size(), source + ": shares");
  for (std::size_t b = 0; b < table.budgets.size(); ++b) {
    add_shares(shares[b], table.budgets[b], table,
               source + ": shares at budget " + std::to_string(table.budgets[b]));
  }
  return table;
}

std::vector<std::size_t> slots_by_head(const HeadBudgets& table, std::size_t n, std::size_t mean,
                                       std::size_t least) {
  if (mean < least) {
    throw UsageError("the budget is " + std::to_string(mean) + " of " + std::to_string(n) +
                     " slots in the mean of all heads, and each is sure of " +
                     std::to_string(least) + "; give a larger budget, or fewer sinks");
  }
  const std::size_t n_heads = table.shape.n_layers * table.shape.n_kv_heads;
  if (mean >= n) return std::vector<std::size_t>(n_heads, n);
  const auto tokens = static_cast<double>(n);
  const std::vector<double> shares = shares_at(table, static_cast<double>(mean) / tokens);
  const std::vector<double> slots =
      scaled(shares, tokens, static_cast<double>(least), static_cast<double>(mean * n_heads));
  return rounded(slots, n, mean * n_heads);
}

/// Options: FILE, of `longshadow learn budgets`; by default the one that it left for the model and
/// the wrapped policy's ranking; n_sink 4, what every head kept where budgets were learnt.
std::unique_ptr<Policy> make_head_budgets(PolicyOptions& options, std::unique_ptr<Policy> scorer) {
  const std::filesystem::path path = options.file(budgets_file(options.wrapped()));
  PolicyTraits traits = scorer->traits();
  traits.joint_heads = false;
  traits.n_sink = std::max(traits.n_sink, options.whole("n_sink", 4));
  traits.files_sha256.insert(traits.files_sha256.begin(), sha256_hex(MappedFile(path).bytes()));
  return std::make_unique<HeadBudgetsPolicy>(traits, std::move(scorer),
                                             read_head_budgets(path, options.model()));
}

}  // namespace longshadow
