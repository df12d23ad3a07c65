#include "data/format/publish.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>

#include "data/format/descriptor.h"
#include "data/format/error.h"

namespace longshadow {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporary = ".tmp.";
/// Another host's temporary is dead after this long without a write: even a slow disk takes what
/// publish() writes in one go within minutes.
constexpr std::chrono::hours kDead{24};

[[noreturn]] void refuse_existing(const fs::path& path) {
  throw FormatError("cannot write " + path.string() +
                    ": the name is taken; remove that file or choose another name");
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// The temporary file's name, removed at the end of its scope. A file of that name that is already
/// there was left by a process that had our number and died.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& final_path) : path_(temporary_path(final_path)) {
    unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Gives a file its final name: in one step where the file system can (renameat2), else by a second
/// name (link), whose first the caller removes. False where the name is taken.
bool rename_without_replacing(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return true;
  if (errno == EINVAL || errno == ENOSYS) {
    if (link(from.c_str(), to.c_str()) == 0) return true;
  }
  if (errno == EEXIST) return false;
  throw FormatError("cannot rename " + from.string() + " to " + to.string() + ": " +
                    std::generic_category().message(errno));
}

bool holds(const fs::path& path, std::span<const std::byte> bytes) {
  Descriptor file(path, O_RDONLY);
  std::array<std::byte, 1 << 16> piece;
  while (true) {
    const std::size_t count = file.read(piece);
    if (count > bytes.size() || !std::equal(piece.begin(), piece.begin() + count, bytes.begin())) {
      return false;
    }
    bytes = bytes.subspan(count);
    if (count < piece.size()) return bytes.empty();
  }
}

/// Whether `path` has the name now, by us.
bool publish_unless_taken(const fs::path& path, std::span<const std::byte> bytes,
                          const Verify& verify) {
  const TemporaryFile temporary(path);
  Descriptor file(temporary.path(), O_WRONLY | O_CREAT | O_EXCL);
  file.write(bytes);
  file.sync();
  file.close();
  if (verify) verify(temporary.path());
  if (!rename_without_replacing(temporary.path(), path)) return false;
  sync_folder(folder_of(path));
  return true;
}

bool is_dead(const fs::path& temporary, const std::string& process) {
  std::error_code error;
  const auto written = fs::last_write_time(temporary, error);
  if (error) return false;  // it is gone already
  return !may_be_alive(process) || fs::file_time_type::clock::now() - written > kDead;
}

}  // namespace

fs::path temporary_path(const fs::path& path) {
  return folder_of(path) /
         ("." + path.filename().string() + std::string(kTemporary) + process_name());
}

void check_output(const fs::path& path) {
  std::error_code error;
  if (!path.has_filename()) {
    throw FormatError("cannot write " + path.string() + ": expected a file name, found a folder");
  }
  if (!fs::is_directory(folder_of(path), error)) {
    throw FormatError("cannot write " + path.string() + ": there is no folder " +
                      folder_of(path).string());
  }
  if (fs::exists(fs::symlink_status(path, error))) refuse_existing(path);
  const TemporaryFile temporary(path);
  Descriptor(temporary.path(), O_WRONLY | O_CREAT | O_EXCL).close();
}

void publish(const fs::path& path, std::span<const std::byte> bytes, const Verify& verify) {
  if (!publish_unless_taken(path, bytes, verify)) refuse_existing(path);
}

void publish_same(const fs::path& path, std::span<const std::byte> bytes, const Verify& verify) {
  if (publish_unless_taken(path, bytes, verify) || holds(path, bytes)) return;
  throw FormatError("cannot write " + path.string() +
                    ": it is there and holds other results of the same work; were they measured "
                    "on processors of different kinds?");
}

bool is_temporary_of(const fs::path& path, const std::string& name) {
  return path.filename().string().starts_with("." + name + std::string(kTemporary));
}

void sweep_temporaries(const fs::path& folder, const std::string& name) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string found = entry.path().filename().string();
    const std::size_t at = found.rfind(kTemporary);
    if (found.front() != '.' || at == std::string::npos) continue;
    if (!name.empty() && !is_temporary_of(entry.path(), name)) continue;
    if (is_dead(entry.path(), found.substr(at + kTemporary.size()))) unlink(entry.path().c_str());
  }
}

}  // namespace longshadow
