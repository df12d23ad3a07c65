// Makes calls to the system fail, to see what a program makes of that. Preloaded (LD_PRELOAD):
//
//   FAIL_CALLS=disk|memory        which calls are counted
//   FAIL_NTH=N                    the N-th of them fails; 0: none
//   FAIL_ERRNO=ENOSPC|EIO         on a disk that is full from then on, or once
//   FLOCK_ERRNO=ENOLCK            flock fails with it each time; ENOLCK, EOPNOTSUPP, ENOSYS,
//   EWOULDBLOCK NAP_MS=N                      waits so long before a file gets its name
//   FAIL_REPORT=PATH              where to say, at the end, how many were counted and which failed
//
// Of the disk: what makes or fills a file or a name, and what waits for that. Of memory: from the
// first file that the program opens on, as what libraries do before main() is none of its business;
// and not what libhdf5, oneDNN and OpenSSL take for themselves, be it by libc's strdup, for they do
// not survive it (H5open recurses for ever, H5I_register ends the process, dnnl_memory_create and
// EVP_Digest read what they did not get).

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <utility>

// The C library's own, under names of ours.
extern "C" {
void* libc_malloc(std::size_t) __asm__("__libc_malloc");
void* libc_calloc(std::size_t, std::size_t) __asm__("__libc_calloc");
void* libc_realloc(void*, std::size_t) __asm__("__libc_realloc");
void* libc_memalign(std::size_t, std::size_t) __asm__("__libc_memalign");
}

namespace {

enum class Counted { nothing, disk, memory };

Counted counted = Counted::nothing;
long nth = 0;
int disk_error = ENOSPC;
int lock_error = 0;
long nap_ms = 0;
const char* report = nullptr;

constexpr std::pair<std::string_view, int> kLockErrors[] = {
    {"ENOLCK", ENOLCK},
    {"EOPNOTSUPP", EOPNOTSUPP},
    {"ENOSYS", ENOSYS},
    {"EWOULDBLOCK", EWOULDBLOCK},
};

std::atomic<bool> has_begun = false;
std::atomic<long> n_calls = 0;
std::atomic<const char*> failed = "none";

std::string_view variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// What the next library of that name would have been called for.
template <class Function>
Function real(Function, const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
#define REAL(name) real(&(name), #name)

__attribute__((constructor)) void read_environment() {
  if (variable("FAIL_CALLS") == "disk") counted = Counted::disk;
  if (variable("FAIL_CALLS") == "memory") counted = Counted::memory;
  nth = std::atol(variable("FAIL_NTH").data());
  if (variable("FAIL_ERRNO") == "EIO") disk_error = EIO;
  for (const auto& [name, number] : kLockErrors) {
    if (variable("FLOCK_ERRNO") == name) lock_error = number;
  }
  nap_ms = std::atol(variable("NAP_MS").data());
  report = std::getenv("FAIL_REPORT");
}

__attribute__((destructor)) void write_report() {
  if (report == nullptr) return;
  counted = Counted::nothing;
  char text[64];
  const int length = std::snprintf(text, sizeof text, "%ld %s\n", n_calls.load(), failed.load());
  const int file = open(report, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0 || write(file, text, static_cast<std::size_t>(length)) != length) std::abort();
}

/// Whether this call for the disk fails; errno says how.
bool disk_fails(const char* name) {
  if (counted != Counted::disk) return false;
  const long call = ++n_calls;
  const bool fails = call == nth || (nth > 0 && call > nth && disk_error == ENOSPC);
  if (call == nth) failed = name;
  if (fails) errno = disk_error;
  return fails;
}

bool is_in_fragile_library(const void* address) {
  Dl_info found{};
  if (dladdr(address, &found) == 0) return false;
  const std::string_view library = found.dli_fname;
  for (const char* fragile : {"/libhdf5", "/libdnnl", "/libcrypto", "/libc.so"}) {
    if (library.find(fragile) != library.npos) return true;
  }
  return false;
}

bool memory_fails(const void* caller) {
  if (counted != Counted::memory || !has_begun || is_in_fragile_library(caller)) return false;
  if (++n_calls != nth) return false;
  failed = "malloc";
  errno = ENOMEM;
  return true;
}

/// How much of `size` bytes a disk takes that fills up under them.
std::size_t taken(std::size_t size) { return disk_error == ENOSPC ? size / 2 : 0; }

bool is_output_file(int file) {
  const int flags = fcntl(file, F_GETFL);
  return file > STDERR_FILENO && flags != -1 && (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  has_begun = true;
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  if ((flags & O_CREAT) != 0 && disk_fails("open")) return -1;
  return REAL(open)(path, flags, mode);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return disk_fails("mkdir") ? -1 : REAL(mkdir)(path, mode);
}

ssize_t write(int file, const void* bytes, std::size_t size) {
  if (!is_output_file(file) || !disk_fails("write")) return REAL(write)(file, bytes, size);
  return taken(size) > 0 ? REAL(write)(file, bytes, taken(size)) : -1;
}

ssize_t pwrite(int file, const void* bytes, std::size_t size, off_t offset) {
  if (!disk_fails("pwrite")) return REAL(pwrite)(file, bytes, size, offset);
  return taken(size) > 0 ? REAL(pwrite)(file, bytes, taken(size), offset) : -1;
}

int fsync(int file) { return disk_fails("fsync") ? -1 : REAL(fsync)(file); }

int fdatasync(int file) { return disk_fails("fdatasync") ? -1 : REAL(fdatasync)(file); }

/// As on a network, where it tells what could not be written; the file is closed nevertheless.
int close(int file) {
  const bool is_output = is_output_file(file);
  const int closed = REAL(close)(file);
  return is_output && disk_fails("close") ? -1 : closed;
}

int flock(int file, int operation) noexcept {
  if (lock_error == 0) return REAL(flock)(file, operation);
  errno = lock_error;
  return -1;
}

int rename(const char* from, const char* to) noexcept {
  return disk_fails("rename") ? -1 : REAL(rename)(from, to);
}

int renameat2(int from_folder, const char* from, int to_folder, const char* to,
              unsigned flags) noexcept {
  const timespec nap = {nap_ms / 1000, nap_ms % 1000 * 1'000'000};
  if (nap_ms > 0) nanosleep(&nap, nullptr);
  if (disk_fails("renameat2")) return -1;
  return REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

int link(const char* from, const char* to) noexcept {
  return disk_fails("link") ? -1 : REAL(link)(from, to);
}

#define MEMORY_FAILS() memory_fails(__builtin_return_address(0))

void* malloc(std::size_t size) noexcept { return MEMORY_FAILS() ? nullptr : libc_malloc(size); }

void* calloc(std::size_t n, std::size_t size) noexcept {
  return MEMORY_FAILS() ? nullptr : libc_calloc(n, size);
}

void* realloc(void* old, std::size_t size) noexcept {
  return MEMORY_FAILS() ? nullptr : libc_realloc(old, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return MEMORY_FAILS() ? nullptr : libc_memalign(alignment, size);
}

int posix_memalign(void** made, std::size_t alignment, std::size_t size) noexcept {
  *made = MEMORY_FAILS() ? nullptr : libc_memalign(alignment, size);
  return *made == nullptr ? ENOMEM : 0;
}

}  // extern "C"
