#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace longshadow {

enum class Lock {
  shared,     ///< with others that read
  exclusive,  ///< with nobody
};

enum class LockState {
  held,         ///< until the file is closed
  taken,        ///< by another process, which it would not go with
  unavailable,  ///< the file system has no locks, as some that are reached over a network
};

/// A file of the system's, closed by its scope. Every call throws FormatError "cannot WHAT:
/// reason".
class Descriptor {
 public:
  /// As open(2): `flags` of O_RDONLY, O_CREAT, ...; a new file is readable by all.
  Descriptor(const std::filesystem::path& path, int flags);
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor();

  void write(std::span<const std::byte> bytes);
  /// Fills `bytes` from the file, as far as it goes; gives how many were read.
  std::size_t read(std::span<std::byte> bytes);
  /// Returns when the disk has what was written.
  void sync();
  /// Makes the file at least `size` bytes, whose room on the disk is then taken.
  void reserve(std::size_t size);
  /// Asks for a lock (flock), which other programs need not heed, without waiting for it.
  LockState lock(Lock lock);
  void close();
  int number() const { return descriptor_; }

 private:
  std::filesystem::path path_;
  int descriptor_;
};

/// Makes new, renamed and removed names in `folder` last.
void sync_folder(const std::filesystem::path& folder);

/// "HOST.PID", what tells the files of this process from those of others.
std::string process_name();

/// Whether a process that called itself so may still be at work: a dead one of this host is not; of
/// another host's nobody here can know.
bool may_be_alive(const std::string& process_name);

}  // namespace longshadow
