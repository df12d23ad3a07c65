#include "probes/runs/run_store.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>

#include "data/format/error.h"
#include "data/format/publish.h"
#include "engine/core/error.h"
#include "engine/io/json.h"
#include "probes/runs/interrupt.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kShardRows = 16384;

std::string shown(const json& flat, const std::string& key) {
  return flat.contains(key) ? flat[key].dump(-1, ' ', false, json::error_handler_t::replace)
                            : "not there";
}

[[noreturn]] void refuse_other(const fs::path& folder, const std::string& difference) {
  throw UsageError(folder.string() + ": another run was begun here, " + difference +
                   "; name another -o, or remove it");
}

/// Throws UsageError unless both plans are of one run.
void check_same(const RunPlan& found, const RunPlan& wanted, const fs::path& folder) {
  if (found.run.tool_version != wanted.run.tool_version) {
    refuse_other(folder, "by longshadow " + found.run.tool_version);
  }
  if (found.run.configuration == wanted.run.configuration) return;
  const std::string source = (folder / kPlanName).string();
  const json old = parse_json(bytes_of(found.run.configuration), source).flatten();
  const json now = parse_json(bytes_of(wanted.run.configuration), source).flatten();
  for (const auto* keys : {&now, &old}) {
    for (const auto& [key, value] : keys->items()) {
      if (shown(old, key) == shown(now, key)) continue;
      if (key.starts_with("/documents/") && key.ends_with("/sha256")) {
        const std::string name = key.substr(0, key.rfind('/')) + "/name";
        refuse_other(folder, "with another text of " + shown(old, name));
      }
      refuse_other(folder, "with `" + key.substr(1) + "` " + shown(old, key) + " where now " +
                               shown(now, key) + " is asked for");
    }
  }
}

/// Removes a directory that nothing came into.
void remove_if_empty(const fs::path& folder) {
  std::error_code error;
  fs::remove(folder, error);
}

/// The directory with its plan. Others may begin it at the same time.
fs::path begin_directory(const fs::path& folder, const RunPlan& plan) {
  std::error_code error;
  const bool is_new = fs::create_directory(folder, error);
  if (error) throw Error("cannot make the folder " + folder.string() + ": " + error.message());
  if (is_new) sync_folder(folder.has_parent_path() ? folder.parent_path() : fs::path("."));
  sweep_temporaries(folder);
  const auto has_plan = [&] { return fs::exists(folder / kPlanName); };
  if (!has_plan()) {
    const bool is_free = std::all_of(
        fs::directory_iterator(folder), fs::directory_iterator(),
        [](const fs::directory_entry& entry) { return is_temporary_of(entry.path(), kPlanName); });
    if (!is_free && !has_plan()) {
      throw UsageError(folder.string() +
                       ": expected a run directory or an empty one, found a folder without " +
                       kPlanName);
    }
    try {
      if (is_free) write_plan(folder, plan);
    } catch (...) {
      remove_if_empty(folder);
      throw;
    }
  }
  check_same(RunDirectory(folder).plan(), plan, folder);
  return folder;
}

}  // namespace

std::size_t shard_units_for(std::size_t horizon) {
  return std::max<std::size_t>(1, kShardRows / horizon);
}

RunStore::RunStore(const fs::path& folder, const RunPlan& plan, Share share, bool alone)
    : directory_(begin_directory(folder, plan)) {
  if (alone) {
    lock_ = std::make_unique<Descriptor>(folder, O_RDONLY | O_DIRECTORY);
    lock_state_ = lock_->lock(Lock::exclusive);
    if (lock_state_ == LockState::taken) {
      throw UsageError(folder.string() +
                       ": another longshadow is at work here; for several at once see `shard`");
    }
  }
  // A share is a stretch of all shards of all documents, so that few processes read one document. A
  // document whose shards are not known yet, or that has none, goes as one.
  std::vector<std::size_t> n_pieces;
  for (const PlannedDocument& document : plan.documents) {
    n_pieces.push_back(std::max<std::size_t>(1, plan.shards(document.n_units.value_or(0)).size()));
  }
  const std::size_t total = std::accumulate(n_pieces.begin(), n_pieces.end(), std::size_t{0});
  const std::size_t begin = total * share.index / share.count;
  const std::size_t end = total * (share.index + 1) / share.count;
  std::size_t first = 0;
  for (std::size_t d = 0; d < plan.documents.size(); ++d) {
    const auto within = [&](std::size_t piece) {
      return std::clamp(piece, first, first + n_pieces[d]) - first;
    };
    Part part{begin <= first && first < end, within(begin), within(end)};
    if (!plan.documents[d].n_units && part.pass) {
      part.end = std::numeric_limits<std::size_t>::max();
    }
    parts_.push_back(part);
    first += n_pieces[d];
  }
  n_measured_ = measured_share(directory_).done;
  for (std::size_t d = 0; d < plan.documents.size(); ++d) {
    const std::vector<UnitRange> ours = our_shards(d, directory_.n_units(d));
    check_files(d, ours);
    for (const UnitRange& units : ours) {
      const fs::path path = plan.shard_path(folder, d, units);
      if (directory_.has_shard(d, units)) {
        remove_journals(path);
      } else {
        n_measured_ += replay_journals(path, units, plan.unit_values).size();
      }
    }
  }
}

std::vector<UnitRange> RunStore::our_shards(std::size_t document, std::size_t n_units) const {
  const std::vector<UnitRange> all = directory_.plan().shards(n_units);
  const auto at = [&](std::size_t shard) {
    return all.begin() + static_cast<std::ptrdiff_t>(std::min(shard, all.size()));
  };
  return {at(parts_[document].begin), at(parts_[document].end)};
}

void RunStore::check_files(std::size_t document, std::span<const UnitRange> ours) const {
  try {
    if (directory_.has_pass(document)) directory_.check_document(document, ours);
  } catch (const FormatError& error) {
    throw FormatError(std::string(error.what()) +
                      "; remove that file, and the same command measures it again");
  }
}

bool RunStore::has_work(std::size_t document) const {
  if (parts_[document].pass && !directory_.has_pass(document)) return true;
  const std::vector<UnitRange> shards = our_shards(document, directory_.n_units(document));
  return std::any_of(shards.begin(), shards.end(), [&](const UnitRange& units) {
    return !directory_.has_shard(document, units);
  });
}

bool RunStore::has_work() const {
  for (std::size_t d = 0; d < parts_.size(); ++d) {
    if (has_work(d)) return true;
  }
  return false;
}

std::optional<RunSketch> RunStore::sketch(std::size_t document) const {
  if (!directory_.has_pass(document)) return {};
  return directory_.read_pass(document).sketch;
}

void RunStore::measure(std::size_t document, Measurement& measurement, const DocumentTags& tags,
                       ProgressStyle progress, std::ostream& log) const {
  const RunPlan& plan = directory_.plan();
  if (parts_[document].pass && !directory_.has_pass(document)) {
    DocumentRun pass = measurement.pass();
    store_tags(tags, pass.tokens);
    write_pass(directory_.folder(), plan, document, pass);
  }
  std::size_t done = 0;
  std::size_t total = 0;
  std::vector<std::pair<UnitRange, UnitValues>> missing;
  for (const UnitRange& units : our_shards(document, measurement.n_units())) {
    total += units.size();
    if (directory_.has_shard(document, units)) {
      done += units.size();
      continue;
    }
    missing.emplace_back(
        units, replay_journals(plan.shard_path(directory_.folder(), document, units), units,
                               measurement.n_values()));
    done += missing.back().second.size();
  }
  if (missing.empty()) return;
  const auto [what, unit] = measurement.title();
  Progress told(log, progress, what, unit, total, done);
  for (auto& [units, known] : missing) {
    measure_shard(document, units, measurement, std::move(known), told, done);
  }
}

void RunStore::measure_shard(std::size_t document, UnitRange units, Measurement& measurement,
                             UnitValues known, Progress& told, std::size_t& done) const {
  const RunPlan& plan = directory_.plan();
  const fs::path path = plan.shard_path(directory_.folder(), document, units);
  std::vector<std::size_t> left;
  for (std::size_t unit = units.begin; unit < units.end; ++unit) {
    if (!known.contains(unit)) left.push_back(unit);
  }
  measurement.prepare(units);
  const std::size_t n_values = measurement.n_values();
  std::optional<Journal> journal;
  std::vector<double> values;
  std::span<const std::size_t> rest(left);
  while (!rest.empty()) {
    check_interrupt();
    const std::span<const std::size_t> batch =
        rest.first(std::min(measurement.max_batch(), rest.size()));
    rest = rest.subspan(batch.size());
    values.resize(batch.size() * n_values);
    measurement.measure(batch, values);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto row = values.begin() + static_cast<std::ptrdiff_t>(i * n_values);
      known[batch[i]].assign(row, row + static_cast<std::ptrdiff_t>(n_values));
    }
    done += batch.size();
    if (rest.empty()) break;  // the shard itself follows
    if (!journal) journal.emplace(path);
    journal->append(batch, values);
    told.update(done);
  }
  values.clear();
  for (const auto& [unit, row] : known) values.insert(values.end(), row.begin(), row.end());
  write_shard(directory_.folder(), plan, document, units, measurement.results(std::move(values)));
  remove_journals(path);
  told.update(done);
}

}  // namespace longshadow
