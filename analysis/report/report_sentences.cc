#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "analysis/report/report_sections.h"
#include "analysis/report/report_table.h"

namespace longshadow {

namespace {

/// Its first characters, white space as single spaces.
std::string shortened(const std::string& text) {
  constexpr std::size_t kMostCharacters = 40;
  std::string line;
  std::size_t n_characters = 0;
  bool is_apart = false;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      is_apart = !line.empty();
      continue;
    }
    const bool begins_character = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    n_characters += begins_character + (is_apart ? 1 : 0);
    if (n_characters > kMostCharacters && begins_character) return line + " …";
    if (is_apart) line += ' ';
    is_apart = false;
    line += c;
  }
  return line;
}

std::string mean_text(const BinnedInfluence& binned) {
  if (binned.n_values == 0) return "-";
  return (binned.n_below_floor > 0 ? "<" : "") + scientific(binned.upper_mean);
}

/// "3-4", and "1" for a bin of one.
std::string later_text(const DistanceBin& bin) {
  return bin.begin + 1 == bin.end ? std::to_string(bin.begin) : distance_text(bin);
}

void print_by_distance(std::ostream& out, const SentenceReport& report) {
  out << "\n"
      << left("sentences later", kGroupWidth) << right("subjects", kCountWidth)
      << right("values", kCountWidth) << right("<floor", kCountWidth) << "  "
      << left("mean, nats", kEstimateWidth) << "median, nats\n";
  for (const GroupReport& group : report.groups) {
    for (std::size_t bin = 0; bin < report.bins.size(); ++bin) {
      const Cell& cell = group.cells[bin];
      if (cell.n_subjects == 0) continue;
      const std::string name = group.name == "all" ? "" : ", " + group.name;
      out << left("  " + later_text(report.bins[bin]) + name, kGroupWidth)
          << right(std::to_string(cell.n_subjects), kCountWidth)
          << right(std::to_string(cell.n_values), kCountWidth)
          << right(std::to_string(cell.n_below_floor), kCountWidth) << "  "
          << left(influence_text(cell.mean), kEstimateWidth) << influence_text(cell.median) << "\n";
    }
  }
}

void print_top(std::ostream& out, const std::vector<InfluentialSentence>& top) {
  constexpr std::size_t kSentenceWidth = 10;
  constexpr std::size_t kTokensWidth = 12;
  out << "\n" << right("sentence", kSentenceWidth) << right("tokens", kTokensWidth);
  for (const LaterSentences& later : kLaterSentences) out << right(later.name, kNumberWidth);
  out << right("total", kNumberWidth) << right("most on", kNumberWidth) << "  the highest totals\n";
  for (const InfluentialSentence& one : top) {
    out << right(std::to_string(one.number), kSentenceWidth)
        << right(distance_text({one.begin, one.end}), kTokensWidth);
    for (const BinnedInfluence& binned : one.later) {
      out << right(mean_text(binned), kNumberWidth);
    }
    out << right(scientific(one.total_nats), kNumberWidth)
        << right(std::to_string(one.most), kNumberWidth) << "  " << shortened(one.text) << "\n";
  }
}

Json json_of(const InfluentialSentence& one) {
  Json json = {{"sentence", one.number}, {"tokens", {one.begin, one.end}}, {"text", one.text}};
  for (std::size_t b = 0; b < kLaterSentences.size(); ++b) {
    json[kLaterSentences[b].name] = {{"n_sentences", one.later[b].n_values},
                                     {"n_below_floor", one.later[b].n_below_floor},
                                     {"mean_nats", one.later[b].upper_mean}};
  }
  json["most"] = {{"sentence", one.most}, {"mean_nats", one.most_nats}};
  json["total_nats"] = one.total_nats;
  return json;
}

}  // namespace

void print_sentences(std::ostream& out, const std::vector<SentenceReport>& sentences) {
  out << "\nRemoved sentences, and what each does to a later one: the mean over that one's tokens, "
         "in nats.\n"
         "A later sentence counts where the horizon holds all of it. total: the sum over the "
         "horizon;\nmost on: the later sentence that is moved most.\n";
  for (const SentenceReport& report : sentences) {
    out << "\n" << report.name << ": " << report.n_sentences << " sentences removed\n";
    print_by_distance(out, report);
    if (!report.top.empty()) print_top(out, report.top);
  }
}

Json json_of(const SentenceReport& sentences) {
  Json top = Json::array();
  for (const InfluentialSentence& one : sentences.top) top.push_back(json_of(one));
  return {{"name", sentences.name},
          {"n_sentences", sentences.n_sentences},
          {"groups", json_of(sentences.groups, sentences.bins, "later")},
          {"top", top}};
}

}  // namespace longshadow
