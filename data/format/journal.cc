#include "data/format/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/crc.hpp>
#include <cstdint>
#include <cstring>
#include <string>
#include <system_error>

#include "data/format/error.h"

namespace longshadow {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little);

/// What a record begins with, as it is in the file.
struct RecordHead {
  std::array<char, 4> magic;
  std::uint32_t payload_bytes;
  std::uint64_t unit;
};
static_assert(sizeof(RecordHead) == 16);

constexpr std::array<char, 4> kMagic = {'L', 'S', 'J', '1'};

/// That of IEEE 802.3.
std::uint32_t crc32(std::span<const std::byte> bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

void append_bytes(std::vector<std::byte>& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

fs::path folder_of(const fs::path& shard) { return shard.parent_path() / "journals"; }

/// The journals of a shard, in the order of their names.
std::vector<fs::path> journals_of(const fs::path& shard) {
  const std::string prefix = shard.stem().string() + ".";
  std::vector<fs::path> found;
  std::error_code error;  // no folder: no journals
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(shard), error)) {
    if (entry.path().filename().string().starts_with(prefix)) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// A name that no journal has: the process that had our number before us may have left one.
fs::path new_name(const fs::path& shard) {
  const std::string stem = shard.stem().string() + "." + process_name();
  fs::create_directory(folder_of(shard));
  fs::path path = folder_of(shard) / stem;
  for (int k = 2; fs::exists(path); ++k) path = folder_of(shard) / (stem + "-" + std::to_string(k));
  return path;
}

void replay(const fs::path& journal, UnitRange units, std::size_t n_values, UnitValues& values) {
  Descriptor file(journal, O_RDONLY);
  const std::size_t payload = n_values * sizeof(double);
  std::vector<std::byte> record(sizeof(RecordHead) + payload + sizeof(std::uint32_t));
  while (file.read(record) == record.size()) {
    RecordHead head;
    std::uint32_t crc = 0;
    const std::size_t checked = record.size() - sizeof crc;
    std::memcpy(&head, record.data(), sizeof head);
    std::memcpy(&crc, record.data() + checked, sizeof crc);
    if (head.magic != kMagic || head.payload_bytes != payload || head.unit < units.begin ||
        head.unit >= units.end || crc != crc32(std::span(record).first(checked))) {
      return;
    }
    std::vector<double>& row = values[head.unit];
    row.resize(n_values);
    std::memcpy(row.data(), record.data() + sizeof head, payload);
  }
}

}  // namespace

Journal::Journal(const fs::path& shard)
    : file_(new_name(shard), O_WRONLY | O_CREAT | O_EXCL | O_APPEND) {
  sync_folder(folder_of(shard));
  sync_folder(shard.parent_path());
}

void Journal::append(std::span<const std::size_t> units, std::span<const double> values) {
  const std::size_t n_values = values.size() / units.size();
  std::vector<std::byte> records;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const std::span<const std::byte> payload =
        std::as_bytes(values.subspan(i * n_values, n_values));
    const RecordHead head{kMagic, static_cast<std::uint32_t>(payload.size()), units[i]};
    const std::size_t begin = records.size();
    append_bytes(records, std::as_bytes(std::span(&head, 1)));
    append_bytes(records, payload);
    const std::uint32_t crc = crc32(std::span(records).subspan(begin));
    append_bytes(records, std::as_bytes(std::span(&crc, 1)));
  }
  file_.write(records);
  file_.sync();
}

UnitValues replay_journals(const fs::path& shard, UnitRange units, std::size_t n_values) {
  UnitValues values;
  for (const fs::path& journal : journals_of(shard)) replay(journal, units, n_values, values);
  return values;
}

void remove_journals(const fs::path& shard) {
  for (const fs::path& journal : journals_of(shard)) unlink(journal.c_str());
}

}  // namespace longshadow
