#include "data/format/publish.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "data/format/error.h"

namespace longshadow {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what, int error_number) {
  throw FormatError("cannot " + what + ": " + std::generic_category().message(error_number));
}

[[noreturn]] void refuse_existing(const fs::path& path) {
  throw FormatError("cannot write " + path.string() +
                    ": the name is taken; remove that file or choose another name");
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

fs::path temporary_name(const fs::path& path) {
  char host[256] = "localhost";
  if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return folder_of(path) /
         ("." + path.filename().string() + ".tmp." + host + "." + std::to_string(getpid()));
}

class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags)
      : path_(path), descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) fail("open " + path.string(), errno);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write " + path_.string(), errno);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }
  void sync() {
    if (fsync(descriptor_) != 0) fail("sync " + path_.string(), errno);
  }
  void close() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) fail("close " + path_.string(), errno);
  }

 private:
  fs::path path_;
  int descriptor_;
};

/// The temporary file's name, removed at the end of its scope. A file of that name that is already
/// there was left by a process that had our number and died.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& final_path) : path_(temporary_name(final_path)) {
    unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path_.c_str()); }

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Gives a file its final name unless that is taken: in one step where the file system can
/// (renameat2), else by a second name (link), whose first the caller removes.
void rename_without_replacing(const fs::path& from, const fs::path& to) {
  if (renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return;
  if (errno == EINVAL || errno == ENOSYS) {
    if (link(from.c_str(), to.c_str()) == 0) return;
  }
  if (errno == EEXIST) refuse_existing(to);
  fail("rename " + from.string() + " to " + to.string(), errno);
}

}  // namespace

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

void publish(const fs::path& path, std::span<const std::byte> bytes,
             const std::function<void(const fs::path&)>& verify) {
  const TemporaryFile temporary(path);
  Descriptor file(temporary.path(), O_WRONLY | O_CREAT | O_EXCL);
  file.write(bytes);
  file.sync();
  file.close();
  if (verify) verify(temporary.path());
  rename_without_replacing(temporary.path(), path);
  Descriptor(folder_of(path), O_RDONLY | O_DIRECTORY).sync();
}

}  // namespace longshadow
