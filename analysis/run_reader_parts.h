#pragma once

#include <string>
#include <vector>

#include "data/format/hdf5.h"
#include "data/format/run_file.h"

// What the sources of run_reader.h share; nothing else includes it.
namespace longshadow {

/// Throws FormatError "GROUP: WHAT".
[[noreturn]] void refuse(const hdf5::Group& group, const std::string& what);

/// What is printed must not have any: a terminal would obey it.
bool has_control_character(const std::string& text);

/// Infinite, or negative beyond any noise floor; rounding may make a KL slightly negative.
bool is_impossible_kl(double nats);

/// Throws FormatError where the document's context does not lie within its tokens.
void check_context(const hdf5::Group& group, const DocumentRun& document);

/// Every policy at every budget. Throws FormatError.
std::vector<RunRetention> read_retention(const hdf5::Group& group, const DocumentRun& document,
                                         const RunModel& model);

}  // namespace longshadow
