#pragma once

#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/format/descriptor.h"
#include "data/format/growing_bytes.h"

/// libhdf5's C interface with every call that Longshadow makes wrapped once: an identifier is
/// closed by its scope, a failure is a FormatError that names the object and carries the library's
/// reason. Nothing here knows the schema of a run file.
namespace longshadow::hdf5 {

using Shape = std::vector<std::uint64_t>;

std::uint64_t element_count(const Shape& shape);

/// An HDF5 identifier. The destructor cannot report a failed close; close() does.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  /// Throws FormatError "cannot WHAT: reason" where `id` says that the call before it failed.
  Handle(hid_t id, Close closer, const std::string& what);
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&&) = delete;
  ~Handle();

  hid_t id() const { return id_; }
  void close();

 private:
  hid_t id_;
  Close close_;
};

/// A group, a dataset or the root: whatever carries attributes. `path` is for messages.
class Object {
 public:
  Object(Handle handle, std::string path) : handle_(std::move(handle)), path_(std::move(path)) {}

  hid_t id() const { return handle_.id(); }
  const std::string& path() const { return path_; }

  void write_attribute(const char* name, std::string_view text) const;
  void write_attribute(const char* name, std::int64_t value) const;
  void write_attribute(const char* name, std::uint64_t value) const;

  bool has_attribute(const char* name) const;
  /// Throw where the attribute is missing or not one value of the type asked for.
  std::string string_attribute(const char* name) const;
  std::int64_t int64_attribute(const char* name) const;
  std::uint64_t uint64_attribute(const char* name) const;

 private:
  Handle handle_;
  std::string path_;
};

class Dataset : public Object {
 public:
  using Object::Object;

  /// Names this dataset as what the values along a dimension stand for (HDF5 dimension scale).
  void make_scale(const char* name) const;
  /// Labels dimension `axis` and attaches the scale to it.
  void attach_scale(unsigned axis, const Dataset& scale, const char* label) const;
};

class Group : public Object {
 public:
  using Object::Object;

  Group create_group(const std::string& name) const;
  /// Values are stored little-endian, in chunks with a Fletcher-32 checksum. No dimension may be 0.
  template <typename T>
  Dataset write(const char* name, std::span<const T> values, const Shape& shape) const;
  /// One-dimensional, UTF-8, each entry padded with NUL to the longest, and to two bytes.
  Dataset write_strings(const char* name, const std::vector<std::string>& texts) const;

  /// One-dimensional; `members[v]` is the name of value v, which each value must have.
  Dataset write_enum(const char* name, std::span<const std::uint8_t> values,
                     std::span<const char* const> members) const;

  /// Whether there is a link of that name, whatever it leads to.
  bool has(const char* name) const;
  /// Names of the links, sorted. Every accessor below follows hard links only.
  std::vector<std::string> names() const;
  Group group(const std::string& name) const;
  Dataset dataset(const std::string& name) const;
  /// The shape, after checks that make it safe to allocate and read: a stored element type that is
  /// exactly T, contiguous or chunked storage inside this file, no filter but the checksum, and not
  /// more elements than the bytes stored for them.
  template <typename T>
  Shape shape(const char* name) const;
  /// Throws unless the dataset passes the checks of shape() and has the shape `expected`.
  template <typename T>
  std::vector<T> read(const char* name, const Shape& expected) const;
  std::vector<std::string> read_strings(const char* name, std::uint64_t expected_count) const;
  /// Throws unless the stored type is the enumeration of exactly these members, and every value is
  /// one of them.
  std::vector<std::uint8_t> read_enum(const char* name, std::uint64_t expected_count,
                                      std::span<const char* const> members) const;
  /// Reads every dataset in it and in its groups, so that libhdf5 compares their checksums: for a
  /// file that this program has just written.
  void read_all() const;

 private:
  Handle open_link(const std::string& name, H5O_type_t type) const;
};

/// A new file built in `bytes`, because libhdf5 does not recover from a disk that fills up under
/// it: writing them to a disk is the publisher's business. The same calls give the same bytes (no
/// time is stored).
class NewFile {
 public:
  explicit NewFile(std::unique_ptr<GrowingBytes> bytes = std::make_unique<BytesInMemory>());
  Group root() const;
  /// Closes the file and gives its bytes, which live as long as this. Every Group and Dataset of it
  /// must be closed by then.
  std::span<const std::byte> finish();
  /// Throws where the disk had no room for the bytes: as finish() would.
  void check() const { bytes_->check(); }

 private:
  std::unique_ptr<GrowingBytes> bytes_;  // libhdf5 holds its address
  Handle handle_;
};

/// A file opened for reading. While it is, libhdf5 opens it for writing in no other process, where
/// the file system has locks; where it has none, or HDF5_USE_FILE_LOCKING is FALSE, nothing is
/// locked.
class ReadOnlyFile {
 public:
  /// Throws FormatError, also where another process has the file open for writing.
  explicit ReadOnlyFile(const std::filesystem::path& path);
  Group root() const;

 private:
  std::unique_ptr<Descriptor> lock_;
  Handle handle_;
};

}  // namespace longshadow::hdf5
