#include "probes/options/run_output.h"

#include <ostream>
#include <system_error>

#include "analysis/runs/merge.h"
#include "analysis/runs/run_reader.h"
#include "data/format/error.h"
#include "data/format/publish.h"
#include "engine/core/error.h"
#include "engine/text/utf8.h"

namespace longshadow {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestPath = 4096;

/// Throws FormatError where there is no such folder and cannot be one. Another process may make it
/// meanwhile.
void check_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  try {
    check_output(folder);
  } catch (const FormatError&) {
    if (!fs::is_directory(folder, error)) throw;
  }
}

bool is_run_file(const fs::path& path) {
  try {
    read_configuration_hash(path);
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

}  // namespace

RunOutput::RunOutput(const OutputOptions& options)
    : share_(options.shard.value_or(Share{})), is_dry_run_(options.is_dry_run) {
  const fs::path output = options.output;
  std::error_code error;
  if (options.shard || !output.has_filename() || fs::is_directory(output, error)) {
    folder_ = output.has_filename() ? output : output.parent_path();
    check_folder(folder_);
    return;
  }
  file_ = output;
  folder_ = fs::path(output.string() + ".parts");
  if (!is_run_file(file_)) check_output(file_);
  check_folder(folder_);
}

bool RunOutput::ends_with_plan(const RunPlan& plan, std::ostream& out) const {
  if (!is_dry_run_) return false;
  std::size_t n_units = 0, n_shards = 0;
  bool is_known = true;
  for (const PlannedDocument& document : plan.documents) {
    is_known &= document.n_units.has_value();
    n_units += document.n_units.value_or(0);
    n_shards += plan.shards(document.n_units.value_or(0)).size();
  }
  out << plan.documents.size() << (plan.documents.size() == 1 ? " document" : " documents");
  if (is_known) {
    out << ", " << n_units << " " << plan.unit_name << " in " << n_shards
        << (n_shards == 1 ? " shard" : " shards");
  }
  out << "; nothing is measured\n";
  return true;
}

bool RunOutput::is_whole(const std::string& configuration_hash, ProgressStyle progress,
                         std::ostream& log) const {
  std::error_code error;
  if (file_.empty() || !fs::exists(fs::symlink_status(file_, error))) return false;
  // All of it is read: a file that is damaged must not cost the parts that it was made of.
  if (read_run(file_).configuration_hash == configuration_hash) {
    if (progress != ProgressStyle::none) log << file_.string() << " holds this run already\n";
    fs::remove_all(folder_);
    return true;
  }
  throw FormatError("cannot write " + file_.string() +
                    ": the name is taken; remove that file or choose another name");
}

RunStore RunOutput::open(const RunPlan& plan, ProgressStyle progress, std::ostream& log) const {
  RunStore store(folder_, plan, share_, !file_.empty());
  if (!file_.empty() && !store.knows_it_is_alone()) {
    log << "longshadow: " << printable(folder_.string(), kLongestPath)
        << ": no lock is to be had on this file system; start no second process with this -o"
        << std::endl;
  }
  if (store.n_measured() > 0 && progress != ProgressStyle::none) {
    MeasuredShare measured = measured_share(store.directory());
    measured.done = store.n_measured();
    log << "resuming " << describe(measured, store.directory()) << std::endl;
  }
  return store;
}

void RunOutput::finish(const RunStore& store, ProgressStyle progress, std::ostream& log) const {
  if (!file_.empty()) {
    for (const fs::path& name : {file_, folder_}) {
      sweep_temporaries(name.has_parent_path() ? name.parent_path() : fs::path("."),
                        name.filename().string());
    }
    merge_run(store.directory(), file_);
    fs::remove_all(folder_);
  } else if (progress != ProgressStyle::none) {
    log << describe(measured_share(store.directory()), store.directory()) << std::endl;
  }
}

}  // namespace longshadow
