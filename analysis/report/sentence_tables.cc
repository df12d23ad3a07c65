#include "analysis/report/number_text.h"
#include "analysis/report/tables.h"

namespace longshadow {

namespace {

/// Cuts a text after its first characters. White space becomes single spaces.
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

/// Spells how many sentences later, "3-4" or "1", and the group unless it is "all".
std::string later_text(const DistanceBin& bin, const std::string& group) {
  const std::string later = bin.begin + 1 == bin.end ? std::to_string(bin.begin) : range_text(bin);
  return later + (group == "all" ? "" : ", " + group);
}

Table distance_table(const SentenceReport& report) {
  Table table = group_table("sentences", "later", report.groups, report.bins);
  table.path = "groups";
  if (report.bins.empty()) return table;
  View view;
  view.shown = influence_columns(left_column(0, "sentences later", kNameWidth), table, false);
  for (std::size_t row = 0; row < report.groups.size(); ++row) {
    const GroupReport& group = report.groups[row];
    for (std::size_t bin = 0; bin < report.bins.size(); ++bin) {
      if (group.cells[bin].n_subjects == 0) continue;
      view.lines.push_back({row, bin, later_text(report.bins[bin], group.name)});
    }
  }
  table.views.push_back(std::move(view));
  return table;
}

/// Spells a mean over later sentences, with < before one that the noise floor makes a bound.
std::string mean_text(const BinnedInfluence& binned) {
  if (binned.n_values == 0) return "-";
  return (binned.n_below_floor > 0 ? "<" : "") + scientific(binned.upper_mean);
}

void view_top(Table& table) {
  constexpr std::size_t kSentenceWidth = 10;
  constexpr std::size_t kTokensWidth = 12;
  View view;
  view.shown = {right_column(table.find("sentence"), "sentence", kSentenceWidth),
                right_column(table.find("tokens as a range"), "tokens", kTokensWidth)};
  for (const LaterSentences& later : kLaterSentences) {
    view.shown.push_back(right_column(table.find(later.name), later.name, kNumberWidth));
  }
  view.shown.insert(view.shown.end(),
                    {right_column(table.find("total_nats"), "total", kNumberWidth),
                     right_column(table.find("most/sentence"), "most on", kNumberWidth),
                     left_column(table.find("shortened"), "the highest totals", 0)});
  view.indent = 0;
  view.lines = table.all_rows();
  table.views.push_back(std::move(view));
}

Table top_table(const SentenceReport& report) {
  const Column nats{.path = "", .format = Format::scientific, .unit = "nats"};
  Table table{.name = "top_sentences", .path = "top"};
  table.columns = {{.path = "sentence", .role = Role::key},
                   {.path = "tokens/0"},
                   {.path = "tokens/1"},
                   {.path = "text"}};
  const auto add_nats = [&](const std::string& path) {
    table.columns.emplace_back(nats).path = path;
  };
  for (const LaterSentences& later : kLaterSentences) {
    const std::string name = later.name;
    table.columns.push_back({.path = name + "/n_sentences"});
    table.columns.push_back({.path = name + "/n_below_floor"});
    add_nats(name + "/mean_nats");
  }
  table.columns.push_back({.path = "most/sentence"});
  add_nats("most/mean_nats");
  add_nats("total_nats");
  for (const LaterSentences& later : kLaterSentences) {
    table.columns.push_back({.path = later.name, .role = Role::label});
  }
  table.columns.push_back({.path = "tokens as a range", .role = Role::label});
  table.columns.push_back({.path = "shortened", .role = Role::label});
  for (const InfluentialSentence& one : report.top) {
    std::vector<Entry>& row = table.rows.emplace_back();
    row = {count(one.number), std::int64_t{one.begin}, std::int64_t{one.end}, one.text};
    for (const BinnedInfluence& later : one.later) {
      row.insert(row.end(), {count(later.n_values), count(later.n_below_floor), later.upper_mean});
    }
    row.insert(row.end(), {count(one.most), one.most_nats, one.total_nats});
    for (const BinnedInfluence& later : one.later) row.push_back(mean_text(later));
    row.insert(row.end(), {DistanceBin{one.begin, one.end}, shortened(one.text)});
  }
  if (!report.top.empty()) view_top(table);
  return table;
}

}  // namespace

std::vector<Table> sentence_tables(const SentenceReport& sentences) {
  return {distance_table(sentences), top_table(sentences)};
}

}  // namespace longshadow
