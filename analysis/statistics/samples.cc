#include "analysis/statistics/samples.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>

#include "analysis/statistics/word_class.h"

namespace longshadow {

namespace {

/// The members that have signal k, the highest value first; among equals the earlier.
Members ranked_by_signal(const std::vector<MeasuredSubject>& subjects, const Members& members,
                         std::size_t k) {
  Members ranked;
  for (const std::size_t s : members) {
    if (!std::isnan(subjects[s].signals[k])) ranked.push_back(s);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](std::size_t a, std::size_t b) {
    return subjects[a].signals[k] > subjects[b].signals[k];
  });
  return ranked;
}

/// At least one member, where any has the signal.
Group top_group(const Sample& sample, std::size_t k, double share) {
  Members top = ranked_by_signal(sample.subjects, sample.population, k);
  const auto wanted = std::lround(share * static_cast<double>(sample.population.size()));
  top.resize(std::min(top.size(), static_cast<std::size_t>(std::max(1L, wanted))));
  return {std::string("top ") + kSignals[k].name, top};
}

/// The lowest quarter first; their sizes differ by one at most.
void add_quarters(Sample& sample, std::size_t k) {
  Members ranked = ranked_by_signal(sample.subjects, sample.population, k);
  std::reverse(ranked.begin(), ranked.end());
  for (std::size_t quarter = 0; quarter < kQuarters; ++quarter) {
    const auto edge = [&](std::size_t q) {
      return ranked.begin() + static_cast<std::ptrdiff_t>(q * ranked.size() / kQuarters);
    };
    sample.quarters.push_back(
        {std::string(kSignals[k].name) + " " + std::to_string(quarter + 1) + "/4",
         Members(edge(quarter), edge(quarter + 1))});
  }
}

template <typename Predicate>
Group group_where(const std::string& name, const Members& members, const Predicate& belongs) {
  Group group{name, {}};
  std::copy_if(members.begin(), members.end(), std::back_inserter(group.members), belongs);
  return group;
}

void add_groups(Sample& sample, double top_share) {
  Members all;
  Members sinks;
  std::set<std::string> recorded;
  for (std::size_t s = 0; s < sample.subjects.size(); ++s) {
    (sample.subjects[s].is_sink ? sinks : all).push_back(s);
    recorded.insert(sample.subjects[s].group);
  }
  sample.groups.push_back({"all", sample.population});
  for (std::size_t k = 0; k < kSignals.size(); ++k) {
    sample.groups.push_back(top_group(sample, k, top_share));
    add_quarters(sample, k);
  }
  for (const std::string& name : recorded) {
    if (recorded.size() < 2) break;
    sample.groups.push_back(group_where(
        "chosen: " + name, all, [&](std::size_t s) { return sample.subjects[s].group == name; }));
  }
  sample.groups.push_back({"sinks", sinks});
}

void add_parts_of_speech(Sample& sample) {
  const auto add = [&](const std::string& name, const auto& belongs) {
    sample.parts_of_speech.push_back(group_where(name, sample.population, [&](std::size_t s) {
      return sample.subjects[s].upos != schema::kNoTag && belongs(sample.subjects[s].upos);
    }));
  };
  add(kContentWords, [](std::uint8_t upos) { return word_class(upos) == WordClass::content; });
  add(kFunctionWords, [](std::uint8_t upos) { return word_class(upos) == WordClass::function; });
  for (std::uint8_t tag = 0; tag < schema::kNoTag; ++tag) {
    add(schema::kUniversalTags[tag], [tag](std::uint8_t upos) { return upos == tag; });
  }
}

TaggedTokens tagged_tokens(const DocumentRun& document, std::int64_t n_sinks) {
  TaggedTokens tokens;
  if (document.tokens.upos.empty()) return tokens;
  const auto first = static_cast<std::size_t>(std::max<std::int64_t>(1, n_sinks));
  const std::size_t context =
      std::min(static_cast<std::size_t>(document.context_tokens), document.tokens.upos.size());
  for (std::size_t i = first; i < context; ++i) {
    if (document.tokens.upos[i] == schema::kNoTag) continue;
    tokens.upos.push_back(document.tokens.upos[i]);
    tokens.entropy_before.push_back(document.signals.entropy[i - 1]);
    tokens.entropy_at.push_back(document.signals.entropy[i]);
  }
  tokens.document.assign(tokens.upos.size(), 0);
  return tokens;
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

void append_groups(std::vector<Group>& to, const std::vector<Group>& from, std::size_t offset) {
  for (const Group& group : from) {
    auto same = std::find_if(to.begin(), to.end(),
                             [&](const Group& other) { return other.name == group.name; });
    if (same == to.end()) same = to.insert(same, {group.name, {}});
    for (const std::size_t s : group.members) same->members.push_back(offset + s);
  }
}

}  // namespace

Sample make_sample(const DocumentRun& document, const std::vector<DistanceBin>& bins,
                   const std::vector<DistanceBin>& set_bins, const SampleOptions& options) {
  Sample sample;
  sample.subjects = measure(document, bins, options.n_sinks);
  sample.document.assign(sample.subjects.size(), 0);
  const bool has_drawn = std::any_of(sample.subjects.begin(), sample.subjects.end(),
                                     [](const MeasuredSubject& one) { return one.is_drawn; });
  for (std::size_t s = 0; s < sample.subjects.size(); ++s) {
    const MeasuredSubject& subject = sample.subjects[s];
    if (!subject.is_sink && (subject.is_drawn || !has_drawn)) sample.population.push_back(s);
  }
  add_groups(sample, options.top_share);
  add_parts_of_speech(sample);
  sample.sets = measure_sets(document, set_bins);
  sample.set_document.assign(sample.sets.size(), 0);
  sample.tokens = tagged_tokens(document, options.n_sinks);
  return sample;
}

Sample pool(const std::vector<Sample>& documents) {
  Sample pooled;
  pooled.n_documents = documents.size();
  for (std::uint32_t d = 0; d < documents.size(); ++d) {
    const Sample& one = documents[d];
    const std::size_t offset = pooled.subjects.size();
    append(pooled.subjects, one.subjects);
    for (const std::size_t s : one.population) pooled.population.push_back(offset + s);
    append_groups(pooled.groups, one.groups, offset);
    append_groups(pooled.quarters, one.quarters, offset);
    append_groups(pooled.parts_of_speech, one.parts_of_speech, offset);
    append(pooled.sets, one.sets);
    append(pooled.tokens.upos, one.tokens.upos);
    append(pooled.tokens.entropy_before, one.tokens.entropy_before);
    append(pooled.tokens.entropy_at, one.tokens.entropy_at);
    pooled.document.resize(pooled.subjects.size(), d);
    pooled.set_document.resize(pooled.sets.size(), d);
    pooled.tokens.document.resize(pooled.tokens.upos.size(), d);
  }
  return pooled;
}

Clusters clusters_of(const Sample& sample, const std::vector<std::uint32_t>& document) {
  return sample.n_documents < kFewestForInterval ? Clusters() : Clusters(document);
}

}  // namespace longshadow
