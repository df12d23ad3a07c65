#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/runs/run_reader.h"
#include "data/format/hdf5.h"
#include "data/format/run_file.h"

// What the sources of run_reader.h share; nothing else includes it.
namespace longshadow {

/// Throws FormatError "GROUP: WHAT".
[[noreturn]] void refuse(const hdf5::Group& group, const std::string& what);

/// Says whether the text has a control character. Printed text must not: a terminal would obey it.
bool has_control_character(const std::string& text);

/// Says whether a KL is infinite, or negative beyond any noise floor: rounding makes a KL at most
/// slightly negative.
bool is_impossible_kl(double nats);

/// Throws FormatError unless `root` is that of a file of this format and of a version we read.
void check_format(const hdf5::Group& root, const std::string& expected);

/// Reads which program wrote the file, and what it was asked for. Throws FormatError where the
/// hash, which names files and by which work is resumed, is not that of the configuration.
void read_configuration(const hdf5::Group& root, RunFile& run);

/// Throws FormatError where no document may have this name.
void check_document_name(const hdf5::Group& documents, const std::string& name);

RunModel read_model(const hdf5::Group& group);

/// Reads the influences of `group`, [n_subjects, horizon] nats. Throws FormatError.
std::vector<double> read_kl(const hdf5::Group& group, std::uint64_t n_subjects,
                            std::uint64_t horizon);

/// Reads the shares of positions that went to other experts, [n_subjects, n_layers]; empty where
/// the group has none. Throws FormatError.
std::vector<float> read_rerouted(const hdf5::Group& group, std::uint64_t n_subjects,
                                 const RunModel& model);

/// Reads the document of a pass file: `kl` of its influence is empty. Throws FormatError.
DocumentRun read_pass_document(const hdf5::Group& group, const std::string& name,
                               const RunModel& model, Projections projections);

/// Throws FormatError where the document's context does not lie within its tokens.
void check_context(const hdf5::Group& group, const DocumentRun& document);

/// Reads every policy at every budget. Throws FormatError.
std::vector<RunRetention> read_retention(const hdf5::Group& group, const DocumentRun& document,
                                         const RunModel& model);

}  // namespace longshadow
