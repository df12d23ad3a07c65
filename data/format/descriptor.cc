#include "data/format/descriptor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <system_error>

#include "data/format/error.h"

namespace longshadow {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path) {
  const int reason = errno;
  throw FormatError("cannot " + std::string(what) + " " + path.string() + ": " +
                    std::generic_category().message(reason));
}

std::string host_name() {
  char host[256] = "localhost";
  if (gethostname(host, sizeof host - 1) != 0) return "localhost";
  return host;
}

}  // namespace

Descriptor::Descriptor(const std::filesystem::path& path, int flags)
    : path_(path), descriptor_(open(path.c_str(), flags | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail("open", path_);
}

Descriptor::~Descriptor() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Descriptor::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", path_);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

std::size_t Descriptor::read(std::span<std::byte> bytes) {
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::read(descriptor_, bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read", path_);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  return filled;
}

void Descriptor::sync() {
  if (fsync(descriptor_) != 0) fail("sync", path_);
}

void Descriptor::reserve(std::size_t size) {
  errno = posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
  if (errno != 0) fail("write", path_);
}

LockState Descriptor::lock(Lock lock) {
  const int kind = lock == Lock::shared ? LOCK_SH : LOCK_EX;
  if (flock(descriptor_, kind | LOCK_NB) == 0) return LockState::held;
  // Without locks it is ENOLCK, EOPNOTSUPP or ENOSYS; over NFS, whose locks are those of fcntl,
  // EBADF for an exclusive one of a file that is open for reading.
  return errno == EWOULDBLOCK ? LockState::taken : LockState::unavailable;
}

void Descriptor::close() {
  const int descriptor = descriptor_;
  descriptor_ = -1;
  if (::close(descriptor) != 0) fail("close", path_);
}

void sync_folder(const std::filesystem::path& folder) {
  Descriptor(folder, O_RDONLY | O_DIRECTORY).sync();
}

std::string process_name() { return host_name() + "." + std::to_string(getpid()); }

bool may_be_alive(const std::string& process_name) {
  const std::size_t dot = process_name.rfind('.');
  if (dot == std::string::npos || process_name.substr(0, dot) != host_name()) return true;
  pid_t number = 0;
  const char* const end = process_name.data() + process_name.size();
  const auto [stop, failure] = std::from_chars(process_name.data() + dot + 1, end, number);
  if (failure != std::errc() || stop != end || number <= 0) return true;
  return kill(number, 0) == 0 || errno != ESRCH;
}

}  // namespace longshadow
