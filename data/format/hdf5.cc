#include "data/format/hdf5.h"

#include <fcntl.h>

#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

#include "data/format/error.h"
#include "data/format/global_heap.h"
#include "data/format/hdf5_call.h"

namespace longshadow::hdf5 {

namespace {

/// A new file grows by this much: byte by byte, so that nothing follows its last byte. (Its bytes
/// grow their capacity by more.)
constexpr std::size_t kMemoryStep = 1;

/// The innermost reason on the library's error stack.
std::string library_reason() {
  std::string reason;
  const auto take_first = [](unsigned n, const H5E_error2_t* error, void* result) -> herr_t {
    if (n == 0 && error->desc) *static_cast<std::string*>(result) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &reason);
  return reason.empty() ? "no reason given" : reason;
}

void write_attribute_typed(const Object& object, const char* name, hid_t type, const void* value) {
  const std::string what = "write attribute " + std::string(name) + " of " + object.path();
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, what);
  Handle attribute(H5Acreate2(object.id(), name, type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                   H5Aclose, what);
  check(H5Awrite(attribute.id(), type, value), what);
  attribute.close();
}

/// Opens an attribute that holds exactly one value.
Handle open_scalar_attribute(const Object& object, const char* name) {
  const std::string what = "attribute " + std::string(name) + " of " + object.path();
  if (check(H5Aexists(object.id(), name), "look up " + what) == 0) {
    throw FormatError("expected " + what + ", found none");
  }
  Handle attribute(H5Aopen(object.id(), name, H5P_DEFAULT), H5Aclose, "open " + what);
  const Handle space(H5Aget_space(attribute.id()), H5Sclose, "open the dataspace of " + what);
  if (check(H5Sget_simple_extent_npoints(space.id()), "size " + what) != 1) {
    throw FormatError("expected one value in " + what + ", found another number");
  }
  return attribute;
}

template <typename T>
T read_integer_attribute(const Object& object, const char* name) {
  const Handle attribute = open_scalar_attribute(object, name);
  const std::string what = "attribute " + std::string(name) + " of " + object.path();
  const Handle type(H5Aget_type(attribute.id()), H5Tclose, "open the type of " + what);
  if (check(H5Tequal(type.id(), element_type<T>()), "compare the type of " + what) == 0) {
    throw FormatError("expected a 64-bit integer in " + what + ", found another type");
  }
  T value{};
  check(H5Aread(attribute.id(), element_type<T>(), &value), "read " + what);
  return value;
}

}  // namespace

void fail(const std::string& what) {
  throw FormatError("cannot " + what + ": " + library_reason());
}

Handle utf8_type(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose, "make a string type");
  check(H5Tset_size(type.id(), size), "size a string type");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "make a string type UTF-8");
  if (size != H5T_VARIABLE) check(H5Tset_strpad(type.id(), H5T_STR_NULLPAD), "pad a string type");
  return type;
}

Handle::Handle(hid_t id, Close closer, const std::string& what) : id_(id), close_(closer) {
  if (id_ < 0) fail(what);
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}

Handle::~Handle() {
  if (id_ >= 0) close_(id_);
}

void Handle::close() {
  if (close_(std::exchange(id_, H5I_INVALID_HID)) < 0) fail("close an object");
}

void Object::write_attribute(const char* name, std::string_view text) const {
  const std::string terminated(text);
  const char* pointer = terminated.c_str();
  const Handle type = utf8_type(H5T_VARIABLE);
  write_attribute_typed(*this, name, type.id(), &pointer);
}

void Object::write_attribute(const char* name, std::int64_t value) const {
  write_attribute_typed(*this, name, element_type<std::int64_t>(), &value);
}

void Object::write_attribute(const char* name, std::uint64_t value) const {
  write_attribute_typed(*this, name, element_type<std::uint64_t>(), &value);
}

bool Object::has_attribute(const char* name) const {
  return check(H5Aexists(id(), name), "look up " + path_ + " " + name) != 0;
}

std::string Object::string_attribute(const char* name) const {
  const Handle attribute = open_scalar_attribute(*this, name);
  const std::string what = "attribute " + std::string(name) + " of " + path_;
  const Handle stored(H5Aget_type(attribute.id()), H5Tclose, "open the type of " + what);
  if (check(H5Tis_variable_str(stored.id()), "read the type of " + what) == 0) {
    throw FormatError("expected a variable-length string in " + what + ", found another type");
  }
  const Handle type = utf8_type(H5T_VARIABLE);
  char* text = nullptr;
  check(H5Aread(attribute.id(), type.id(), &text), "read " + what);
  const std::string result = text ? text : "";
  H5free_memory(text);
  return result;
}

std::int64_t Object::int64_attribute(const char* name) const {
  return read_integer_attribute<std::int64_t>(*this, name);
}

std::uint64_t Object::uint64_attribute(const char* name) const {
  return read_integer_attribute<std::uint64_t>(*this, name);
}

namespace {

/// libhdf5 prints its error stack by default; ours goes into the exception.
void silence_library() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

Group open_root(const Handle& file) {
  return Group(Handle(H5Gopen2(file.id(), "/", H5P_DEFAULT), H5Gclose, "open the root group"), "/");
}

/// Makes the memory driver's buffer, which are the bytes behind `file`, larger or smaller.
void* resize_image(void*, std::size_t size, H5FD_file_image_op_t, void* file) {
  auto& bytes = *static_cast<GrowingBytes*>(file);
  try {
    bytes.resize(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  return bytes.bytes().data();
}

herr_t keep_image(void*, H5FD_file_image_op_t, void*) { return 0; }

/// A file whose bytes are those of `image` once it is closed. Format 1.10 of libhdf5 protects the
/// library's own structures with checksums, as the Fletcher-32 filter does the values.
/// (H5Fget_file_image of libhdf5 1.10.8 would give a superblock whose checksum is wrong.)
Handle create_in(GrowingBytes& image) {
  silence_library();
  const std::string what = "create a file";
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  H5FD_file_image_callbacks_t callbacks{};
  callbacks.image_realloc = resize_image;
  callbacks.image_free = keep_image;
  callbacks.udata = &image;
  callbacks.udata_copy = [](void* file) { return file; };
  callbacks.udata_free = [](void*) -> herr_t { return 0; };
  check(H5Pset_fapl_core(access.id(), kMemoryStep, false), what);
  check(H5Pset_file_image_callbacks(access.id(), &callbacks), what);
  check(H5Pset_fclose_degree(access.id(), H5F_CLOSE_SEMI), what);
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), what);
  const Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, what);
  check(H5Pset_obj_track_times(creation.id(), false), what);
  return Handle(H5Fcreate("memory", H5F_ACC_TRUNC, creation.id(), access.id()), H5Fclose, what);
}

/// libhdf5's own locks fail where the file system has none, so ours, which are the same, take their
/// place.
std::unique_ptr<Descriptor> open_locked(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    throw FormatError("cannot read " + path.string() + ": expected a run file, found " +
                      (std::filesystem::exists(path, error) ? "no regular file" : "nothing"));
  }
  auto file = std::make_unique<Descriptor>(path, O_RDONLY);
  const char* const given = std::getenv("HDF5_USE_FILE_LOCKING");
  const std::string_view asked = given == nullptr ? "TRUE" : given;
  const bool locks = asked != "FALSE" && asked != "0";
  if (locks && file->lock(Lock::shared) == LockState::taken) {
    throw FormatError("cannot read " + path.string() +
                      ": another program, perhaps a notebook, has it open for writing; close it "
                      "there first");
  }
  return file;
}

Handle open_read_only(const std::filesystem::path& path) {
  silence_library();
  if (H5Fis_hdf5(path.c_str()) <= 0) {
    throw FormatError("cannot read " + path.string() + ": expected an HDF5 file, found another");
  }
  check_global_heaps(path);
  const std::string what = "open " + path.string();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, what);
  check(H5Pset_file_locking(access.id(), false, true), what);
  return Handle(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, what);
}

}  // namespace

NewFile::NewFile(std::unique_ptr<GrowingBytes> bytes)
    : bytes_(std::move(bytes)), handle_(create_in(*bytes_)) {}

Group NewFile::root() const { return open_root(handle_); }

std::span<const std::byte> NewFile::finish() {
  handle_.close();
  check();
  return bytes_->bytes();
}

ReadOnlyFile::ReadOnlyFile(const std::filesystem::path& path)
    : lock_(open_locked(path)), handle_(open_read_only(path)) {}

Group ReadOnlyFile::root() const { return open_root(handle_); }

}  // namespace longshadow::hdf5
