#pragma once

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "probes/probe.h"

namespace longshadow {

/// Read `--bins` ("0:16,16:64", offsets below `horizon`; "auto" quadruples from 16 on),
/// `--probe-kind` and `--detail`. Throw UsageError.
std::vector<Range> parse_bins(const std::string& text, std::size_t horizon);
ProbeKind parse_probe_kind(const std::string& text);
MapDetail parse_detail(const std::string& text);

/// Adds --probes, --bins, --probe-kind, --detail, --projections, --exact and --control.
void add_sketch_options(boost::program_options::options_description& options);

/// Whether `--method` is sketch or screen.
bool asks_for_sketch(const boost::program_options::variables_map& values);

/// Reads the options above and what a sketch makes of --subjects, --evict-at and --method into
/// `probe`, whose horizon and seed are read. Throws UsageError, also where an option is given that
/// the method does not have.
void read_sketch_options(const boost::program_options::variables_map& values, ProbeOptions& probe);

/// What the measured values depend on of all this; null without a sketch.
nlohmann::json sketch_configuration(const ProbeOptions& probe);

}  // namespace longshadow
