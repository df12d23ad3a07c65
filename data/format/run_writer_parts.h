#pragma once

#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "data/format/hdf5.h"
#include "data/format/run_file.h"
#include "data/format/schema.h"

// What the sources of run_writer.h share; nothing else includes it.
namespace longshadow {

/// Throws FormatError "cannot write a run file: WHAT".
[[noreturn]] void refuse(const std::string& what);

/// The coordinates 0, 1, ... of a dimension.
hdf5::Dataset write_scale(const hdf5::Group& group, const char* name, std::size_t extent);

/// A dimension's coordinate values and what it is called.
struct Axis {
  const hdf5::Dataset& scale;
  const char* label;
  std::size_t extent;
};

template <typename T>
hdf5::Dataset write_array(const hdf5::Group& group, const char* name, const std::vector<T>& values,
                          const std::vector<Axis>& axes, const char* units) {
  hdf5::Shape shape;
  for (const Axis& axis : axes) shape.push_back(axis.extent);
  hdf5::Dataset dataset = group.write<T>(name, values, shape);
  for (unsigned i = 0; i < axes.size(); ++i) {
    dataset.attach_scale(i, axes[i].scale, axes[i].label);
  }
  dataset.write_attribute(schema::kUnits, units);
  return dataset;
}

/// Throws FormatError where a document cannot be called so, or one of `others` is; adds it to them.
void check_name(const std::string& name, std::set<std::string>& others);

/// Compares the checksums of all values of the file.
void verify(const std::filesystem::path& path);

void write_model(const hdf5::Group& group, const RunModel& model);

/// How much of a document there is to write.
enum class Content {
  whole,
  pass,  ///< what its full pass gives: of the influence no kl, and no retention
};

/// Throws FormatError where a size disagrees with another's.
void write_document(const hdf5::Group& group, const DocumentRun& document, const RunModel& model,
                    Content content);

/// Throw FormatError where a size disagrees with the document's or the model's.
void check_retention(const DocumentRun& document);
void write_retention(const hdf5::Group& group, const DocumentRun& document, const RunModel& model);

}  // namespace longshadow
