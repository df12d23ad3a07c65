#include "analysis/runs/run_directory.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <set>

#include "analysis/runs/run_reader_parts.h"
#include "data/format/error.h"
#include "data/format/hdf5.h"
#include "data/format/schema.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using hdf5::Group;

/// Values that rows not yet measured may take in memory, where no file's size bounds them: 2 GiB.
constexpr std::size_t kMaxUnmeasured = std::size_t{1} << 28;
/// Limits on what a plan may ask for, so that its size is never its reader's trouble.
constexpr std::uint64_t kMaxUnits = 1'000'000'000;
constexpr std::uint64_t kMaxFiles = 1'000'000;

std::size_t read_count(const Group& group, const char* name, std::uint64_t least,
                       std::uint64_t most) {
  const std::uint64_t value = group.uint64_attribute(name);
  if (value < least || value > most) {
    refuse(group, "expected " + std::string(name) + " of " + std::to_string(least) + " to " +
                      std::to_string(most) + ", found " + std::to_string(value));
  }
  return value;
}

PlannedDocument read_planned(const Group& group, const std::string& name) {
  PlannedDocument document{name, group.string_attribute(schema::kSourceSha256), {}};
  if (group.has_attribute(schema::kUnitCount)) {
    document.n_units = read_count(group, schema::kUnitCount, 0, kMaxUnits);
  }
  return document;
}

RunPlan read_root(const Group& root) {
  check_format(root, schema::kPlanFormat);
  RunPlan plan;
  read_configuration(root, plan.run);
  plan.run.model = read_model(root.group(schema::kModel));
  plan.unit_name = root.string_attribute(schema::kUnitName);
  if (has_control_character(plan.unit_name)) refuse(root, "expected no control characters");
  plan.unit_values = read_count(root, schema::kUnitValues, 1, kMaxUnits);
  plan.shard_units = read_count(root, schema::kShardUnits, 1, kMaxUnits);
  const Group documents = root.group(schema::kDocuments);
  const std::vector<std::string> names = documents.names();
  if (names.empty() || names.size() > kMaxFiles) {
    refuse(documents, "expected at least one document, and at most a million");
  }
  plan.documents.resize(names.size());
  std::uint64_t n_files = 0;
  for (const std::string& name : names) {
    check_document_name(documents, name);
    const Group group = documents.group(name);
    PlannedDocument& place = plan.documents[read_count(group, schema::kIndex, 0, names.size() - 1)];
    if (!place.name.empty()) refuse(group, "expected an index that no other document has");
    place = read_planned(group, name);
    n_files += 1 + place.n_units.value_or(0) / plan.shard_units;
    if (n_files > kMaxFiles) refuse(documents, "expected at most a million files of a run");
  }
  return plan;
}

/// Reads with the file's name in front of what is wrong.
template <class Read>
auto read_file(const fs::path& path, Read read) {
  const hdf5::ReadOnlyFile file(path);
  try {
    return read(file.root());
  } catch (const FormatError& error) {
    throw FormatError(path.string() + ": " + error.what());
  }
}

RunPlan read_plan(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / kPlanName, error)) {
    throw FormatError("cannot read " + folder.string() +
                      ": expected a run file, or a run directory with its " + kPlanName +
                      ", found a folder without");
  }
  return read_file(folder / kPlanName, read_root);
}

/// The group of the plan's document in one of its files.
Group document_group(const Group& root, const char* format, const RunPlan& plan,
                     std::size_t document) {
  check_format(root, format);
  const std::string hash = root.string_attribute(schema::kConfigurationHash);
  if (hash != plan.run.configuration_hash) {
    refuse(root, "expected the plan's configuration hash " + plan.run.configuration_hash +
                     ", found another");
  }
  return root.group(schema::kDocuments).group(plan.documents[document].name);
}

/// Puts a shard's shares [units, L] among those of all subjects; the others' are NaN.
void add_rerouted(const std::vector<float>& shares, UnitRange units, RunInfluence& influence) {
  if (shares.empty()) return;
  const std::size_t n_layers = shares.size() / units.size();
  const std::size_t n_subjects = influence.subjects.size();
  if (n_layers > kMaxUnmeasured / n_subjects) {
    throw FormatError("expected at most 2 GiB of shares of positions, found more");
  }
  influence.rerouted.resize(n_subjects * n_layers, std::numeric_limits<float>::quiet_NaN());
  std::copy(shares.begin(), shares.end(),
            influence.rerouted.begin() + static_cast<std::ptrdiff_t>(units.begin * n_layers));
}

}  // namespace

RunDirectory::RunDirectory(const fs::path& folder) : folder_(folder), plan_(read_plan(folder)) {}

bool RunDirectory::has_pass(std::size_t document) const {
  return fs::exists(plan_.pass_path(folder_, document));
}

bool RunDirectory::has_shard(std::size_t document, UnitRange units) const {
  return fs::exists(plan_.shard_path(folder_, document, units));
}

std::size_t RunDirectory::n_units(std::size_t document) const {
  if (plan_.documents[document].n_units) return *plan_.documents[document].n_units;
  return has_pass(document) ? read_pass(document).influence.subjects.size() : 0;
}

DocumentRun RunDirectory::read_pass(std::size_t document, Projections projections) const {
  const PlannedDocument& planned = plan_.documents[document];
  return read_file(plan_.pass_path(folder_, document), [&](const Group& root) {
    const Group group = document_group(root, schema::kPassFormat, plan_, document);
    DocumentRun run = read_pass_document(group, planned.name, plan_.run.model, projections);
    if (run.source_sha256 != planned.source_sha256) {
      refuse(group, "expected the text that the plan names, found another");
    }
    return run;
  });
}

void RunDirectory::read_shard(std::size_t document, UnitRange units, DocumentRun& run) const {
  const std::size_t horizon = run.influence.noise_floor.size();
  read_file(plan_.shard_path(folder_, document, units), [&](const Group& root) {
    const Group group = document_group(root, schema::kShardFormat, plan_, document);
    if (group.uint64_attribute(schema::kFirstUnit) != units.begin ||
        group.uint64_attribute(schema::kUnitCount) != units.size()) {
      refuse(group, "expected the units that the file's name says");
    }
    if (group.has(schema::kRetention)) {
      std::vector<RunRetention> retention =
          read_retention(group.group(schema::kRetention), run, plan_.run.model);
      if (retention.size() != units.size()) refuse(group, "expected as many policies as units");
      std::move(retention.begin(), retention.end(), std::back_inserter(run.retention));
      return;
    }
    if (units.end * horizon > run.influence.kl.size()) {
      refuse(group, "expected values of subjects that the document's full pass names");
    }
    const Group measured = group.group(schema::kInfluence);
    const std::vector<double> kl = read_kl(measured, units.size(), horizon);
    std::copy(kl.begin(), kl.end(),
              run.influence.kl.begin() + static_cast<std::ptrdiff_t>(units.begin * horizon));
    add_rerouted(read_rerouted(measured, units.size(), plan_.run.model), units, run.influence);
  });
}

DocumentRun RunDirectory::begin_document(std::size_t document, Projections projections) const {
  DocumentRun run = read_pass(document, projections);
  const std::size_t n_subjects = run.influence.subjects.size();
  const std::size_t horizon = run.influence.noise_floor.size();
  const std::size_t n_units = plan_.documents[document].n_units.value_or(n_subjects);
  if (n_subjects > 0 && n_subjects != n_units) {
    throw FormatError(plan_.pass_path(folder_, document).string() + ": expected " +
                      std::to_string(n_units) + " subjects, found " + std::to_string(n_subjects));
  }
  if (n_subjects > 0 && horizon > kMaxUnmeasured / n_subjects) {
    throw FormatError(folder_.string() + ": expected at most 2 GiB of influences, found more");
  }
  run.influence.kl.assign(n_subjects * horizon, std::numeric_limits<double>::quiet_NaN());
  return run;
}

void RunDirectory::check_document(std::size_t document, std::span<const UnitRange> shards) const {
  DocumentRun run = begin_document(document, Projections::read);
  for (const UnitRange& units : shards) {
    if (has_shard(document, units)) read_shard(document, units, run);
  }
}

DocumentRun RunDirectory::read_document(std::size_t document, Projections projections) const {
  DocumentRun run = begin_document(document, projections);
  run.complete = true;
  const std::size_t n_subjects = run.influence.subjects.size();
  for (const UnitRange& units :
       plan_.shards(plan_.documents[document].n_units.value_or(n_subjects))) {
    if (has_shard(document, units)) {
      read_shard(document, units, run);
    } else {
      run.complete = false;
    }
  }
  return run;
}

MeasuredShare measured_share(const RunDirectory& directory) {
  const RunPlan& plan = directory.plan();
  MeasuredShare share;
  for (std::size_t d = 0; d < plan.documents.size(); ++d) {
    const std::string& name = plan.documents[d].name;
    if (!directory.has_pass(d)) {
      ++share.unread;
      share.gaps.push_back(name + ", the full pass");
    }
    const std::size_t n_units = directory.n_units(d);
    share.total += n_units;
    for (const UnitRange& units : plan.shards(n_units)) {
      if (directory.has_shard(d, units)) {
        share.done += units.size();
      } else {
        share.gaps.push_back(name + ", " + plan.unit_name + " " + std::to_string(units.begin) +
                             "-" + std::to_string(units.end - 1));
      }
    }
  }
  return share;
}

std::string describe(const MeasuredShare& share, const RunDirectory& directory) {
  std::string text = directory.folder().string() + ": " + std::to_string(share.done) + " of " +
                     std::to_string(share.total) + " " + directory.plan().unit_name +
                     " are measured";
  if (share.total > 0) text += " (" + std::to_string(100 * share.done / share.total) + "%)";
  if (share.unread > 0) {
    text += "; " + std::to_string(share.unread) + " of " +
            std::to_string(directory.plan().documents.size()) + " documents are not read yet";
  }
  return text;
}

std::string measured_share_of(const fs::path& path) {
  if (!fs::is_directory(path)) return "";
  const RunDirectory directory(path);
  return describe(measured_share(directory), directory) + "\n";
}

}  // namespace longshadow
