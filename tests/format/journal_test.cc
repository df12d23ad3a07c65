#include "data/format/journal.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"

using namespace longshadow;
using test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

constexpr UnitRange kUnits{10, 20};
/// Head, three values and CRC-32.
constexpr std::size_t kRecordBytes = 16 + 3 * 8 + 4;

std::vector<double> values_of(std::size_t unit) {
  const auto x = static_cast<double>(unit);
  return {x, 1 / x, -std::numeric_limits<double>::denorm_min()};
}

/// A journal of these units, in batches of two.
fs::path write_journal(const fs::path& shard, const std::vector<std::size_t>& units) {
  Journal journal(shard);
  for (std::size_t first = 0; first < units.size(); first += 2) {
    const auto batch =
        std::span(units).subspan(first, std::min<std::size_t>(2, units.size() - first));
    std::vector<double> values;
    for (const std::size_t unit : batch) {
      for (const double value : values_of(unit)) values.push_back(value);
    }
    journal.append(batch, values);
  }
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(shard.parent_path() / "journals")) {
    if (newest.empty() || entry.path() > newest) newest = entry.path();
  }
  return newest;
}

std::string content_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void check_values(const UnitValues& found, const std::vector<std::size_t>& units) {
  REQUIRE(found.size() == units.size());
  for (const std::size_t unit : units) CHECK(found.at(unit) == values_of(unit));
}

}  // namespace

TEST_CASE("a journal gives back what was appended") {
  const TemporaryFolder folder;
  const fs::path shard = folder.path() / "abc-d0000-u000010-000020.h5";
  CHECK(replay_journals(shard, kUnits, 3).empty());
  const fs::path journal = write_journal(shard, {12, 10, 19});
  CHECK(fs::file_size(journal) == 3 * kRecordBytes);
  check_values(replay_journals(shard, kUnits, 3), {10, 12, 19});
  CHECK(replay_journals(folder.path() / "abc-d0000-u000000-000010.h5", kUnits, 3).empty());
  remove_journals(shard);
  CHECK(replay_journals(shard, kUnits, 3).empty());
}

TEST_CASE("several processes' journals of one shard are all read") {
  const TemporaryFolder folder;
  const fs::path shard = folder.path() / "abc-d0000-u000010-000020.h5";
  write_journal(shard, {10, 11});
  write_journal(shard, {11, 15});
  write_journal(shard, {16});
  check_values(replay_journals(shard, kUnits, 3), {10, 11, 15, 16});
}

TEST_CASE("a journal cut anywhere gives the records that are whole") {
  const TemporaryFolder folder;
  const fs::path shard = folder.path() / "abc-d0000-u000010-000020.h5";
  const std::vector<std::size_t> units = {10, 11, 12, 13};
  const fs::path journal = write_journal(shard, units);
  for (std::size_t size = fs::file_size(journal); size > 0; --size) {
    fs::resize_file(journal, size - 1);
    const std::size_t whole = (size - 1) / kRecordBytes;
    check_values(replay_journals(shard, kUnits, 3), {units.begin(), units.begin() + whole});
  }
}

TEST_CASE("a journal with any byte changed gives nothing wrong") {
  const TemporaryFolder folder;
  const fs::path shard = folder.path() / "abc-d0000-u000010-000020.h5";
  const fs::path journal = write_journal(shard, {10, 11, 12});
  const std::string good = content_of(journal);
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    std::ofstream(journal, std::ios::binary) << bad;
    const std::vector<std::size_t> before = {10, 11, 12};
    check_values(replay_journals(shard, kUnits, 3),
                 {before.begin(), before.begin() + at / kRecordBytes});
  }
}

TEST_CASE("records of other units or another size are not taken") {
  const TemporaryFolder folder;
  const fs::path shard = folder.path() / "abc-d0000-u000010-000020.h5";
  write_journal(shard, {10, 11});
  CHECK(replay_journals(shard, {11, 20}, 3).empty());
  CHECK(replay_journals(shard, {0, 10}, 3).empty());
  CHECK(replay_journals(shard, kUnits, 2).empty());
  CHECK(replay_journals(shard, kUnits, 4).empty());
}
