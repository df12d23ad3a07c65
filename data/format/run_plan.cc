#include "data/format/run_plan.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <set>
#include <span>

#include "data/format/publish.h"
#include "data/format/run_writer_parts.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using hdf5::Group;

constexpr std::size_t kHashDigits = 16;

std::string document_stem(const RunPlan& plan, std::size_t document) {
  char index[32];
  std::snprintf(index, sizeof index, "-d%04zu", document);
  return plan.run.configuration_hash.substr(0, kHashDigits) + index;
}

void write_format(const Group& root, const char* format, const RunFile& run) {
  root.write_attribute(schema::kFormatName, format);
  root.write_attribute(schema::kFormatVersionName, schema::kFormatVersion);
  root.write_attribute(schema::kToolVersion, run.tool_version);
  root.write_attribute(schema::kConfigurationHash, run.configuration_hash);
}

void publish_file(const fs::path& path, hdf5::NewFile& file) {
  publish_same(path, file.finish(), verify);
}

/// Rows of what is measured of the influence.
void write_measured(const Group& group, const RunInfluence& influence, std::size_t n_subjects) {
  const std::size_t horizon = influence.kl.size() / n_subjects;
  group.write<double>(schema::kKl, influence.kl, {n_subjects, horizon})
      .write_attribute(schema::kUnits, schema::kNats);
  if (influence.rerouted.empty()) return;
  const std::size_t n_layers = influence.rerouted.size() / n_subjects;
  group.write<float>(schema::kRerouted, influence.rerouted, {n_subjects, n_layers})
      .write_attribute(schema::kUnits, "share of positions");
}

}  // namespace

std::vector<UnitRange> RunPlan::shards(std::size_t n_units) const {
  std::vector<UnitRange> ranges;
  for (std::size_t begin = 0; begin < n_units; begin += shard_units) {
    ranges.push_back({begin, std::min(begin + shard_units, n_units)});
  }
  return ranges;
}

fs::path RunPlan::pass_path(const fs::path& folder, std::size_t document) const {
  return folder / (document_stem(*this, document) + ".h5");
}

fs::path RunPlan::shard_path(const fs::path& folder, std::size_t document, UnitRange units) const {
  char range[64];
  std::snprintf(range, sizeof range, "-u%06zu-%06zu.h5", units.begin, units.end);
  return folder / (document_stem(*this, document) + range);
}

void write_plan(const fs::path& folder, const RunPlan& plan) {
  std::set<std::string> names;
  hdf5::NewFile file;
  {
    const Group root = file.root();
    write_format(root, schema::kPlanFormat, plan.run);
    root.write_attribute(schema::kConfiguration, plan.run.configuration);
    root.write_attribute(schema::kUnitName, plan.unit_name);
    root.write_attribute(schema::kUnitValues, std::uint64_t{plan.unit_values});
    root.write_attribute(schema::kShardUnits, std::uint64_t{plan.shard_units});
    write_model(root.create_group(schema::kModel), plan.run.model);
    const Group documents = root.create_group(schema::kDocuments);
    for (std::size_t d = 0; d < plan.documents.size(); ++d) {
      const PlannedDocument& document = plan.documents[d];
      check_name(document.name, names);
      const Group group = documents.create_group(document.name);
      group.write_attribute(schema::kIndex, std::uint64_t{d});
      group.write_attribute(schema::kSourceSha256, document.source_sha256);
      if (document.n_units) {
        group.write_attribute(schema::kUnitCount, std::uint64_t{*document.n_units});
      }
    }
  }
  publish_file(folder / kPlanName, file);
}

void write_pass(const fs::path& folder, const RunPlan& plan, std::size_t document,
                const DocumentRun& pass) {
  hdf5::NewFile file;
  {
    const Group root = file.root();
    write_format(root, schema::kPassFormat, plan.run);
    const Group documents = root.create_group(schema::kDocuments);
    write_document(documents.create_group(pass.name), pass, plan.run.model, Content::pass);
  }
  publish_file(plan.pass_path(folder, document), file);
}

void write_shard(const fs::path& folder, const RunPlan& plan, std::size_t document, UnitRange units,
                 const DocumentRun& values) {
  hdf5::NewFile file;
  {
    const Group root = file.root();
    write_format(root, schema::kShardFormat, plan.run);
    const Group documents = root.create_group(schema::kDocuments);
    const Group group = documents.create_group(values.name);
    group.write_attribute(schema::kFirstUnit, std::uint64_t{units.begin});
    group.write_attribute(schema::kUnitCount, std::uint64_t{units.size()});
    if (values.retention.empty()) {
      write_measured(group.create_group(schema::kInfluence), values.influence, units.size());
    } else {
      write_retention(group.create_group(schema::kRetention), values, plan.run.model);
    }
  }
  publish_file(plan.shard_path(folder, document, units), file);
}

}  // namespace longshadow
