#include <hdf5_hl.h>

#include <algorithm>

#include "data/format/error.h"
#include "data/format/hdf5.h"
#include "data/format/hdf5_call.h"

namespace longshadow::hdf5 {

namespace {

constexpr std::uint64_t kChunkBytes = 1 << 20;

Handle simple_space(const Shape& shape) {
  return Handle(H5Screate_simple(static_cast<int>(shape.size()),
                                 reinterpret_cast<const hsize_t*>(shape.data()), nullptr),
                H5Sclose, "make a dataspace");
}

/// Whole trailing dimensions up to kChunkBytes, so that reading some rows reads little else.
Shape chunk_shape(const Shape& shape, std::uint64_t element_bytes) {
  Shape chunk(shape.size(), 1);
  std::uint64_t room = std::max<std::uint64_t>(1, kChunkBytes / element_bytes);
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    chunk[axis] = std::min(shape[axis], room);
    room /= chunk[axis];
    if (chunk[axis] < shape[axis]) break;
  }
  return chunk;
}

Handle dataset_options(const Shape& shape, std::uint64_t element_bytes) {
  Handle options(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "make dataset options");
  const Shape chunk = chunk_shape(shape, element_bytes);
  check(H5Pset_obj_track_times(options.id(), false), "turn off times");
  check(H5Pset_chunk(options.id(), static_cast<int>(chunk.size()),
                     reinterpret_cast<const hsize_t*>(chunk.data())),
        "set chunks");
  check(H5Pset_fletcher32(options.id()), "set checksums");
  return options;
}

Dataset write_typed(const Group& group, const char* name, hid_t type, const void* values,
                    const Shape& shape) {
  const std::string path = group.path() + name;
  const Handle space = simple_space(shape);
  const Handle options = dataset_options(shape, H5Tget_size(type));
  Dataset dataset(
      Handle(H5Dcreate2(group.id(), name, type, space.id(), H5P_DEFAULT, options.id(), H5P_DEFAULT),
             H5Dclose, "create " + path),
      path);
  check(H5Dwrite(dataset.id(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), "write " + path);
  return dataset;
}

/// An enumeration of 8 bits whose members have the values 0, 1, ...
Handle enum_type(std::span<const char* const> members) {
  Handle type(H5Tenum_create(H5T_STD_U8LE), H5Tclose, "make an enumeration");
  for (std::size_t value = 0; value < members.size(); ++value) {
    const auto stored = static_cast<std::uint8_t>(value);
    check(H5Tenum_insert(type.id(), members[value], &stored), "name an enumeration's value");
  }
  return type;
}

bool are_members(std::span<const std::uint8_t> values, std::span<const char* const> members) {
  return std::all_of(values.begin(), values.end(),
                     [&](std::uint8_t value) { return value < members.size(); });
}

/// Throws unless the values are inside this file and unfiltered but for the checksum: external
/// storage and virtual layouts read other files, a filter may be a plug-in or a decompression bomb.
void check_storage(const Dataset& dataset) {
  const std::string& path = dataset.path();
  const Handle options(H5Dget_create_plist(dataset.id()), H5Pclose, "read the layout of " + path);
  const H5D_layout_t layout = check(H5Pget_layout(options.id()), "read the layout of " + path);
  if (layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED && layout != H5D_COMPACT) {
    throw FormatError("expected " + path + " to be stored in this file, found a virtual layout");
  }
  if (check(H5Pget_external_count(options.id()), "read the storage of " + path) != 0) {
    throw FormatError("expected " + path + " to be stored in this file, found external storage");
  }
  const int filters = check(H5Pget_nfilters(options.id()), "read the filters of " + path);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0;
    unsigned filter_config = 0;
    std::size_t n_values = 0;
    const H5Z_filter_t filter =
        check(H5Pget_filter2(options.id(), static_cast<unsigned>(i), &flags, &n_values, nullptr, 0,
                             nullptr, &filter_config),
              "read the filters of " + path);
    if (filter != H5Z_FILTER_FLETCHER32) {
      throw FormatError("expected no filter but the Fletcher-32 checksum on " + path +
                        ", found filter number " + std::to_string(filter));
    }
  }
}

/// The dataset's shape, once its declared size is covered by bytes that are really stored.
Shape checked_shape(const Dataset& dataset, std::size_t element_bytes) {
  const std::string& path = dataset.path();
  const Handle space(H5Dget_space(dataset.id()), H5Sclose, "open the dataspace of " + path);
  const int rank = check(H5Sget_simple_extent_ndims(space.id()), "read the rank of " + path);
  Shape shape(static_cast<std::size_t>(rank));
  check(H5Sget_simple_extent_dims(space.id(), reinterpret_cast<hsize_t*>(shape.data()), nullptr),
        "read the shape of " + path);
  std::uint64_t bytes = element_bytes;
  bool overflow = false;
  for (const std::uint64_t extent : shape) {
    overflow = overflow || __builtin_mul_overflow(bytes, extent, &bytes);
  }
  const Handle file(H5Iget_file_id(dataset.id()), H5Fclose, "find the file of " + path);
  hsize_t file_bytes = 0;
  check(H5Fget_filesize(file.id(), &file_bytes), "read the size of the file of " + path);
  if (overflow || bytes > H5Dget_storage_size(dataset.id()) || bytes > file_bytes) {
    throw FormatError("expected " + path + " to store all its values, found a larger shape");
  }
  return shape;
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const std::uint64_t extent : shape) {
    text += (text.empty() ? "" : ", ") + std::to_string(extent);
  }
  return "[" + text + "]";
}

void expect_shape(const Shape& found, const Shape& expected, const std::string& path) {
  if (found != expected) {
    throw FormatError("expected shape " + shape_text(expected) + " of " + path + ", found " +
                      shape_text(found));
  }
}

}  // namespace

std::uint64_t element_count(const Shape& shape) {
  std::uint64_t count = 1;
  for (const std::uint64_t extent : shape) count *= extent;
  return count;
}

void Dataset::make_scale(const char* name) const {
  check(H5DSset_scale(id(), name), "make a dimension scale of " + path());
}

void Dataset::attach_scale(unsigned axis, const Dataset& scale, const char* label) const {
  check(H5DSattach_scale(id(), scale.id(), axis), "attach " + scale.path() + " to " + path());
  check(H5DSset_label(id(), axis, label), "label a dimension of " + path());
}

Group Group::create_group(const std::string& name) const {
  const std::string what = "create group " + path() + name;
  const Handle options(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, what);
  check(H5Pset_obj_track_times(options.id(), false), what);
  return Group(Handle(H5Gcreate2(id(), name.c_str(), H5P_DEFAULT, options.id(), H5P_DEFAULT),
                      H5Gclose, what),
               path() + name + "/");
}

template <typename T>
Dataset Group::write(const char* name, std::span<const T> values, const Shape& shape) const {
  if (values.size() != element_count(shape) || values.empty()) {
    throw FormatError("expected values of shape " + shape_text(shape) + ", none of them 0, for " +
                      path() + name + ", found " + std::to_string(values.size()) + " values");
  }
  return write_typed(*this, name, element_type<T>(), values.data(), shape);
}

Dataset Group::write_strings(const char* name, const std::vector<std::string>& texts) const {
  std::size_t longest = 2;  // netCDF's readers take strings of one byte for parts of one
  for (const std::string& text : texts) longest = std::max(longest, text.size());
  std::string padded;
  for (const std::string& text : texts) {
    padded += text;
    padded.append(longest - text.size(), '\0');
  }
  const Handle type = utf8_type(longest);
  return write_typed(*this, name, type.id(), padded.data(), {texts.size()});
}

Dataset Group::write_enum(const char* name, std::span<const std::uint8_t> values,
                          std::span<const char* const> members) const {
  if (values.empty() || !are_members(values, members)) {
    throw FormatError("expected values under " + std::to_string(members.size()) + " for " + path() +
                      name + ", found none or a larger one");
  }
  const Handle type = enum_type(members);
  return write_typed(*this, name, type.id(), values.data(), {values.size()});
}

bool Group::has(const char* name) const {
  return check(H5Lexists(id(), name, H5P_DEFAULT), "look up " + path() + name) != 0;
}

std::vector<std::string> Group::names() const {
  H5G_info_t info{};
  check(H5Gget_info(id(), &info), "list " + path());
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto link_name = [&](char* buffer, std::size_t size) {
      return check(
          H5Lget_name_by_idx(id(), ".", H5_INDEX_NAME, H5_ITER_INC, i, buffer, size, H5P_DEFAULT),
          "list " + path());
    };
    std::string name(static_cast<std::size_t>(link_name(nullptr, 0)), '\0');
    link_name(name.data(), name.size() + 1);
    names.push_back(std::move(name));
  }
  return names;
}

Handle Group::open_link(const std::string& name, H5O_type_t type) const {
  const std::string target = path() + name;
  if (check(H5Lexists(id(), name.c_str(), H5P_DEFAULT), "look up " + target) == 0) {
    throw FormatError("expected " + target + ", found nothing of that name");
  }
  H5L_info_t link{};
  check(H5Lget_info(id(), name.c_str(), &link, H5P_DEFAULT), "look up " + target);
  if (link.type != H5L_TYPE_HARD) {
    throw FormatError("expected " + target + " in this file, found a soft or external link");
  }
  Handle object(H5Oopen(id(), name.c_str(), H5P_DEFAULT), H5Oclose, "open " + target);
  H5O_info_t info{};
  check(H5Oget_info2(object.id(), &info, H5O_INFO_BASIC), "look at " + target);
  if (info.type != type) {
    throw FormatError("expected " + target + " to be a " +
                      (type == H5O_TYPE_GROUP ? "group" : "dataset") + ", found another object");
  }
  return object;
}

Group Group::group(const std::string& name) const {
  return Group(open_link(name, H5O_TYPE_GROUP), path() + name + "/");
}

Dataset Group::dataset(const std::string& name) const {
  return Dataset(open_link(name, H5O_TYPE_DATASET), path() + name);
}

template <typename T>
Shape Group::shape(const char* name) const {
  const std::string target = path() + name;
  const Dataset dataset = this->dataset(name);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "open the type of " + target);
  if (check(H5Tequal(type.id(), element_type<T>()), "compare the type of " + target) == 0) {
    throw FormatError("expected another element type in " + target +
                      " (data/FORMAT.md lists them)");
  }
  check_storage(dataset);
  return checked_shape(dataset, sizeof(T));
}

template <typename T>
std::vector<T> Group::read(const char* name, const Shape& expected) const {
  expect_shape(shape<T>(name), expected, path() + name);
  const Dataset dataset = this->dataset(name);
  std::vector<T> values(element_count(expected));
  check(H5Dread(dataset.id(), element_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
        "read " + path() + name);
  return values;
}

std::vector<std::string> Group::read_strings(const char* name, std::uint64_t expected_count) const {
  const std::string target = path() + name;
  const Dataset dataset = this->dataset(name);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "open the type of " + target);
  if (H5Tget_class(type.id()) != H5T_STRING ||
      check(H5Tis_variable_str(type.id()), "read the type of " + target) != 0) {
    throw FormatError("expected fixed-length strings in " + target + ", found another type");
  }
  check_storage(dataset);
  const std::size_t size = H5Tget_size(type.id());
  expect_shape(checked_shape(dataset, size), {expected_count}, target);
  std::string padded(size * expected_count, '\0');
  check(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()),
        "read " + target);
  std::vector<std::string> texts;
  for (std::uint64_t i = 0; i < expected_count; ++i) {
    const std::string entry = padded.substr(i * size, size);
    texts.push_back(entry.substr(0, entry.find_last_not_of('\0') + 1));
  }
  return texts;
}

std::vector<std::uint8_t> Group::read_enum(const char* name, std::uint64_t expected_count,
                                           std::span<const char* const> members) const {
  const std::string target = path() + name;
  const Dataset dataset = this->dataset(name);
  const Handle type(H5Dget_type(dataset.id()), H5Tclose, "open the type of " + target);
  const Handle expected = enum_type(members);
  if (check(H5Tequal(type.id(), expected.id()), "compare the type of " + target) == 0) {
    throw FormatError("expected another enumeration in " + target + " (data/FORMAT.md lists it)");
  }
  check_storage(dataset);
  expect_shape(checked_shape(dataset, 1), {expected_count}, target);
  std::vector<std::uint8_t> values(expected_count);
  check(H5Dread(dataset.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
        "read " + target);
  if (!are_members(values, members)) {
    throw FormatError("expected only members of the enumeration in " + target);
  }
  return values;
}

void Group::read_all() const {
  for (const std::string& name : names()) {
    const Handle object(H5Oopen(id(), name.c_str(), H5P_DEFAULT), H5Oclose,
                        "open " + path() + name);
    if (H5Iget_type(object.id()) == H5I_GROUP) {
      group(name).read_all();
      continue;
    }
    const std::string what = "read back " + path() + name;
    const Handle type(H5Dget_type(object.id()), H5Tclose, what);
    const Handle space(H5Dget_space(object.id()), H5Sclose, what);
    const auto count =
        static_cast<std::size_t>(check(H5Sget_simple_extent_npoints(space.id()), what));
    std::vector<std::byte> values(count * H5Tget_size(type.id()));
    check(H5Dread(object.id(), type.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), what);
  }
}

template Dataset Group::write(const char*, std::span<const std::uint8_t>, const Shape&) const;
template Dataset Group::write(const char*, std::span<const std::int32_t>, const Shape&) const;
template Dataset Group::write(const char*, std::span<const std::uint64_t>, const Shape&) const;
template Dataset Group::write(const char*, std::span<const float>, const Shape&) const;
template Dataset Group::write(const char*, std::span<const double>, const Shape&) const;
template Shape Group::shape<std::uint8_t>(const char*) const;
template Shape Group::shape<std::int32_t>(const char*) const;
template Shape Group::shape<std::uint64_t>(const char*) const;
template Shape Group::shape<float>(const char*) const;
template Shape Group::shape<double>(const char*) const;
template std::vector<std::uint8_t> Group::read(const char*, const Shape&) const;
template std::vector<std::int32_t> Group::read(const char*, const Shape&) const;
template std::vector<std::uint64_t> Group::read(const char*, const Shape&) const;
template std::vector<float> Group::read(const char*, const Shape&) const;
template std::vector<double> Group::read(const char*, const Shape&) const;

}  // namespace longshadow::hdf5
