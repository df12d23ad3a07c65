#include "analysis/results/entropy_by_tag.h"

#include <cstdint>

#include "analysis/statistics/word_class.h"

namespace longshadow {

namespace {

const std::vector<double>& entropy_of(const TaggedTokens& tokens, std::size_t reading) {
  return reading == 0 ? tokens.entropy_before : tokens.entropy_at;
}

/// The tokens whose tag `belongs`.
template <typename Predicate>
void add_row(EntropyReport& report, const std::string& name, const Sample& sample,
             const Predicate& belongs, const BootstrapOptions& options) {
  EntropyRow row{name, 0, {}, {}};
  for (std::size_t reading = 0; reading < kEntropyReadings.size(); ++reading) {
    std::vector<double> values;
    std::vector<std::uint32_t> document;
    for (std::size_t i = 0; i < sample.tokens.upos.size(); ++i) {
      if (!belongs(sample.tokens.upos[i])) continue;
      values.push_back(entropy_of(sample.tokens, reading)[i]);
      document.push_back(sample.tokens.document[i]);
    }
    row.n_tokens = values.size();
    row.mean[reading] = bootstrap_mean(values, options, clusters_of(sample, document));
    row.median[reading] = bootstrap_median(values, options, clusters_of(sample, document));
  }
  if (row.n_tokens > 0) report.rows.push_back(row);
}

Estimate content_less_function(const Sample& sample, std::size_t reading,
                               const BootstrapOptions& options) {
  std::vector<double> values;
  std::vector<std::uint8_t> is_content;
  std::vector<std::uint32_t> document;
  for (std::size_t i = 0; i < sample.tokens.upos.size(); ++i) {
    const WordClass kind = word_class(sample.tokens.upos[i]);
    if (kind == WordClass::neither) continue;
    values.push_back(entropy_of(sample.tokens, reading)[i]);
    is_content.push_back(kind == WordClass::content);
    document.push_back(sample.tokens.document[i]);
  }
  return bootstrap_difference(values, is_content, options, clusters_of(sample, document));
}

}  // namespace

EntropyReport report_entropy(const Sample& sample, const BootstrapOptions& options) {
  EntropyReport report;
  const auto of_class = [](WordClass kind) {
    return [kind](std::uint8_t upos) { return word_class(upos) == kind; };
  };
  add_row(report, kContentWords, sample, of_class(WordClass::content), options);
  add_row(report, kFunctionWords, sample, of_class(WordClass::function), options);
  for (std::uint8_t tag = 0; tag < schema::kNoTag; ++tag) {
    add_row(
        report, schema::kUniversalTags[tag], sample,
        [tag](std::uint8_t upos) { return upos == tag; }, options);
  }
  for (std::size_t reading = 0; reading < kEntropyReadings.size(); ++reading) {
    report.difference[reading] = content_less_function(sample, reading, options);
  }
  return report;
}

}  // namespace longshadow
