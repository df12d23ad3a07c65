#include "analysis/report/report.h"

#include <utility>

#include "analysis/report/number_text.h"
#include "analysis/report/tables.h"

namespace longshadow {

namespace {

std::string about_influence(const Analysis& analysis) {
  const AnalyzeOptions& options = analysis.options;
  const bool draws_documents = analysis.pooled && analysis.pooled->draws_documents;
  return "Influence against distance: " + analysis.model.name +
         "\nIn brackets: 95% bootstrap interval over " +
         (draws_documents ? "subjects, of all documents over documents (" : "subjects (") +
         std::to_string(options.bootstrap.replicates) + " draws, seed " +
         std::to_string(options.bootstrap.seed) + "), from " + std::to_string(kFewestForInterval) +
         " on.\n"
         "all: subjects chosen without a look at a signal, or every one where all were chosen; the "
         "sinks (the first " +
         std::to_string(options.sample.n_sinks) + "\ntokens) are apart; top: the highest " +
         formatted("%g", 100 * options.sample.top_share) +
         "% of all by a signal; trimmed: the mean without the lowest and highest tenth.\n"
         "partial: rank correlation given the subject's position; of five documents on, of ranks "
         "within each.\n"
         "<floor: values at or under the noise floor. They enter as the floor, and < before a "
         "number says\nthat the truth may be more than 5% smaller.\n";
}

constexpr const char* kAboutSentences =
    "\nRemoved sentences, and what each does to a later one: the mean over that one's tokens, in "
    "nats.\n"
    "A later sentence counts where the horizon holds all of it. total: the sum over the horizon;\n"
    "most on: the later sentence that is moved most.\n";

constexpr const char* kAboutSketches =
    "\nThe sketch beside exact influence.\n"
    "error: its relative standard error over the probes, median over tokens. control: a random\n"
    "sample of the tokens, which ratio, correlation and top are of. top: of the control's 16\n"
    "highest, those in the sketch's first 24. attention: the largest share of a head's that the\n"
    "token held at the context's end. why: chance (the probes alone may explain it), a sink, one\n"
    "of the newest 64 tokens, or attention (a quarter of a head's and more).\n";

std::string about_retention(const RetentionReport& retention) {
  return "\nWhat eviction policies keep of the cache, and what it costs: " + retention.conditions +
         "\n"
         "KL(full || compressed) at the future's positions; near: their first quarter, far: their\n"
         "last. Means and medians of each document, averaged over documents; in brackets: 95%\n"
         "bootstrap interval over documents, from " +
         std::to_string(kFewestForInterval) +
         " documents on. perplexity ratio: of the text, to\n"
         "the full cache's. same top-1: positions whose likeliest token is the full cache's. "
         "bytes: of\nthe full cache's keys and values.\n";
}

/// Tells a sample's name, its conditions, and how much of it was measured.
std::string introduction_of(const SampleReport& sample) {
  std::string text = "\n" + sample.name + "\n";
  if (!sample.conditions.empty()) text += sample.conditions + "\n";
  text += std::to_string(sample.n_subjects + sample.n_sets) + " subjects measured";
  if (sample.n_population < sample.n_subjects) {
    text += ", " + std::to_string(sample.n_population) + " of them in all";
  }
  if (sample.n_sets > 0) text += ", " + std::to_string(sample.n_sets) + " of them sets";
  if (sample.n_missing > 0) text += ", " + std::to_string(sample.n_missing) + " missing";
  return text + (sample.noise_floor == 0
                     ? "; no noise floor\n"
                     : "; noise floor at most " + scientific(sample.noise_floor) + " nats\n");
}

std::vector<Fact> facts_of(const SampleReport& sample, const std::vector<DistanceBin>& bins) {
  const auto bin_or_nothing = [&](std::size_t bin) {
    return bins.empty() ? Entry() : Entry(bins[bin]);
  };
  return {{"name", sample.name},
          {"conditions", sample.conditions},
          {"n_documents", count(sample.n_documents)},
          {"n_subjects", count(sample.n_subjects)},
          {"n_population", count(sample.n_population)},
          {"intervals_over", sample.draws_documents ? "documents" : "subjects"},
          {"n_sets", count(sample.n_sets)},
          {"n_missing", count(sample.n_missing)},
          {"noise_floor_nats", sample.noise_floor},
          {"near", bin_or_nothing(sample.near_bin)},
          {"far", bin_or_nothing(sample.far_bin)},
          {"claims/test",
           sample.claims.flips_documents ? "signs of documents" : "shuffles in documents"},
          {"claims/near_and_far", sample.claims.where.after_start ? "positions" : "distances"}};
}

Section section_of(const SampleReport& sample, const Analysis& analysis, bool is_last) {
  Section section;
  section.name = sample.name;
  section.introduction = introduction_of(sample);
  section.facts = facts_of(sample, analysis.options.bins);
  section.tables = sample_tables(sample, analysis, is_last);
  return section;
}

Section section_of(const SentenceReport& sentences) {
  const std::size_t n = sentences.n_sentences;
  Section section{.key = "sentences", .is_in_list = true, .name = sentences.name};
  section.introduction = "\n" + section.name + ": " + std::to_string(n) + " sentences removed\n";
  section.facts = {{"name", section.name}, {"n_sentences", count(n)}};
  section.tables = sentence_tables(sentences);
  return section;
}

Section section_of(const SketchReport& sketch) {
  Section section{.key = "sketches", .is_in_list = true, .name = sketch.name};
  section.introduction = "\n" + sketch.name + ": sketch of " + std::to_string(sketch.n_tokens) +
                         " tokens, " + std::to_string(sketch.n_measured) +
                         " of them measured exactly\n" + sketch.conditions + "\n";
  section.facts = {{"name", sketch.name},
                   {"conditions", sketch.conditions},
                   {"n_tokens", count(sketch.n_tokens)},
                   {"n_measured", count(sketch.n_measured)}};
  section.tables = sketch_tables(sketch);
  return section;
}

Section section_of(const RetentionReport& retention) {
  Section section{.key = "retention"};
  section.preface = about_retention(retention);
  section.facts = {{"conditions", retention.conditions}};
  section.tables = retention_tables(retention);
  return section;
}

/// Appends a section for each part, the first with the preface.
template <typename Part>
void add_sections(const std::vector<Part>& parts, const char* preface,
                  std::vector<Section>& sections) {
  for (const Part& part : parts) {
    sections.push_back(section_of(part));
    if (&part == &parts.front()) sections.back().preface = preface;
  }
}

}  // namespace

Report make_report(const Analysis& analysis) {
  Report report{analysis.model.name, analysis.options, {}};
  std::vector<Section>& sections = report.sections;
  for (const SampleReport& document : analysis.documents) {
    const bool is_last = !analysis.pooled && &document == &analysis.documents.back();
    sections.push_back(section_of(document, analysis, is_last));
    sections.back().key = "documents";
    sections.back().is_in_list = true;
  }
  if (analysis.pooled) {
    sections.push_back(section_of(*analysis.pooled, analysis, true));
    sections.back().key = "pooled";
  }
  if (!sections.empty()) sections.front().preface = about_influence(analysis);
  add_sections(analysis.sentences, kAboutSentences, sections);
  add_sections(analysis.sketches, kAboutSketches, sections);
  if (analysis.retention) sections.push_back(section_of(*analysis.retention));
  return report;
}

}  // namespace longshadow
