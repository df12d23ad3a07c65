#include "analysis/results/claims.h"

#include <cmath>
#include <functional>

#include "analysis/statistics/permutation.h"
#include "analysis/statistics/word_class.h"
#include "data/format/token_signals.h"

namespace longshadow {

namespace {

/// Pairs of one document to correlate.
using PairsOf = std::function<CentredPairs(const Sample&)>;

struct Claim {
  std::string text;
  PairsOf pairs;
};

/// Leaves of centred values what a straight line through the centred position does not explain.
void remove_position(std::vector<double>& values, const std::vector<double>& position) {
  double along = 0;
  double length = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    along += values[i] * position[i];
    length += position[i] * position[i];
  }
  if (length == 0) return;
  for (std::size_t i = 0; i < values.size(); ++i) values[i] -= along / length * position[i];
}

/// Content words 1, function words 0, as centred ranks; and the entropies of their tokens.
CentredPairs words_and_entropy(const Sample& sample, bool before) {
  std::vector<double> is_content;
  std::vector<double> entropy;
  for (std::size_t i = 0; i < sample.tokens.upos.size(); ++i) {
    const WordClass kind = word_class(sample.tokens.upos[i]);
    if (kind == WordClass::neither) continue;
    is_content.push_back(kind == WordClass::content);
    entropy.push_back(before ? sample.tokens.entropy_before[i] : sample.tokens.entropy_at[i]);
  }
  return {centred_ranks(is_content), centred_ranks(entropy)};
}

/// A number of a subject, NaN where it has none.
using Quantity = std::function<double(const MeasuredSubject&)>;

Quantity signal(std::size_t k) {
  return [k](const MeasuredSubject& subject) { return subject.signals[k]; };
}

Quantity near_influence(const ClaimPlaces& where) {
  return [where](const MeasuredSubject& subject) {
    return (where.after_start ? subject.soon : subject.bins[where.bins.near]).to_rank();
  };
}

Quantity far_influence(const ClaimPlaces& where) {
  return [where](const MeasuredSubject& subject) {
    return (where.after_start ? subject.late : subject.bins[where.bins.far]).to_rank();
  };
}

double content_or_function(const MeasuredSubject& subject) {
  const WordClass kind =
      subject.upos == schema::kNoTag ? WordClass::neither : word_class(subject.upos);
  if (kind == WordClass::neither) return std::nan("");
  return kind == WordClass::content ? 1.0 : 0.0;
}

/// Ranks of each quantity over the members of the population that have all of them.
std::vector<std::vector<double>> ranks_of(const Sample& sample,
                                          const std::vector<Quantity>& quantities) {
  std::vector<std::vector<double>> values(quantities.size() + 1);
  for (const std::size_t s : sample.population) {
    const MeasuredSubject& subject = sample.subjects[s];
    std::vector<double> row;
    for (const Quantity& quantity : quantities) row.push_back(quantity(subject));
    row.push_back(subject.position);
    double sum = 0;
    for (const double value : row) sum += value;
    if (std::isnan(sum)) continue;
    for (std::size_t q = 0; q < row.size(); ++q) values[q].push_back(row[q]);
  }
  std::vector<std::vector<double>> ranks;
  for (const std::vector<double>& quantity : values) ranks.push_back(centred_ranks(quantity));
  for (std::size_t q = 0; q < quantities.size(); ++q) remove_position(ranks[q], ranks.back());
  ranks.pop_back();
  return ranks;
}

PairsOf subjects_and(const Quantity& x, const Quantity& y) {
  return [=](const Sample& sample) {
    auto ranks = ranks_of(sample, {x, y});
    return CentredPairs{ranks[0], ranks[1]};
  };
}

/// How much more a subject ranks by one quantity than by another.
std::vector<double> lead(const std::vector<double>& of, const std::vector<double>& over) {
  std::vector<double> difference(of.size());
  for (std::size_t i = 0; i < of.size(); ++i) difference[i] = of[i] - over[i];
  return difference;
}

/// Subjects that rank higher by x than by its rival should rank higher by near than by far.
PairsOf fading(const Quantity& x, const Quantity& rival, const Quantity& near,
               const Quantity& far) {
  return [=](const Sample& sample) {
    const auto ranks = ranks_of(sample, {x, rival, near, far});
    return CentredPairs{lead(ranks[0], ranks[1]), lead(ranks[2], ranks[3])};
  };
}

std::vector<Claim> claims_of(const ClaimPlaces& where, std::size_t attention) {
  const Quantity near = near_influence(where);
  const Quantity far = far_influence(where);
  const Quantity before = signal(kEntropyBefore);
  const Quantity at = signal(kEntropyAt);
  const Quantity attended = signal(attention);
  const std::string name = kSignals[attention].name;
  std::vector<Claim> claims = {
      {"content words: higher entropy-before than function words",
       [](const Sample& sample) { return words_and_entropy(sample, true); }},
      {"content words: higher entropy-at than function words",
       [](const Sample& sample) { return words_and_entropy(sample, false); }},
      {"far influence grows with entropy-before", subjects_and(before, far)},
      {"far influence grows with entropy-at", subjects_and(at, far)},
      {"near influence grows with " + name, subjects_and(attended, near)},
      {"far influence: content words over function words", subjects_and(content_or_function, far)}};
  if (where.after_start || where.bins.near != where.bins.far) {
    claims.push_back({"fades faster by " + name + " than by entropy-before",
                      fading(attended, before, near, far)});
    claims.push_back(
        {"fades faster by " + name + " than by entropy-at", fading(attended, at, near, far)});
  }
  return claims;
}

ClaimReport test_claim(const Claim& claim, const std::vector<const Sample*>& samples,
                       const BootstrapOptions& options) {
  ClaimReport report{claim.text, 0, 0, {}, 0, 0};
  std::vector<CentredPairs> documents;
  std::vector<double> correlations;
  for (const Sample* sample : samples) {
    CentredPairs pairs = claim.pairs(*sample);
    const double correlation = centred_correlation(pairs.x, pairs.y);
    if (pairs.x.size() < kFewestForInterval || std::isnan(correlation)) continue;
    report.n_units += pairs.x.size();
    correlations.push_back(correlation);
    documents.push_back(std::move(pairs));
  }
  report.n_documents = documents.size();
  report.correlation = bootstrap_mean(correlations, options);
  report.p = samples.size() >= kFewestToFlip ? sign_flip_p(correlations, options.seed)
                                             : shuffle_p(documents, options.seed);
  return report;
}

}  // namespace

ClaimsReport test_claims(const std::vector<const Sample*>& documents, const ClaimPlaces& where,
                         std::size_t attention, const BootstrapOptions& options) {
  ClaimsReport report{documents.size() >= kFewestToFlip, where, {}};
  std::vector<double> p;
  for (const Claim& claim : claims_of(where, attention)) {
    report.claims.push_back(test_claim(claim, documents, options));
    p.push_back(report.claims.back().p);
  }
  const std::vector<double> corrected = holm(p);
  for (std::size_t c = 0; c < corrected.size(); ++c) report.claims[c].p_holm = corrected[c];
  return report;
}

}  // namespace longshadow
