#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/format/run_file.h"
#include "engine/core/range.h"
#include "engine/ops/divergence/fisher_probes.h"
#include "probes/measure/activation_tape.h"
#include "probes/measure/probe_model.h"
#include "probes/runs/progress.h"

namespace longshadow {

/// Where tokens leave: everywhere, or for a map each, also in every layer or KV head alone.
enum class MapDetail { token, layer, head };

/// The Fisher sketch of a document: an estimate of every context token's influence.
struct SketchOptions {
  std::vector<Range> bins;    ///< offsets j - T from the context's end; may overlap
  std::size_t n_probes = 16;  ///< random directions a bin, at least 2
  ProbeKind kind = ProbeKind::signs;
  MapDetail detail = MapDetail::token;
  bool keeps_projections = false;  ///< what the map by head squares as well
  std::uint64_t seed = 0;
};

/// As on the command line and in run files: "signs", "layer".
const char* name_of(ProbeKind kind);
const char* name_of(MapDetail detail);

/// To second order, the mean over a bin's positions of KL(full || evicted) where a token is gone
/// from the context's end on, for every token of the context [0, T), with standard errors over the
/// probes. The tape begins at T. At most `max_rows` rows go through the layers at once, or one
/// probe's. Progress counts probes, n_probes for each bin.
RunSketch sketch_document(Device& device, const ProbeModel& model, const FullPass& full,
                          const ActivationTape& tape, const SketchOptions& options,
                          std::size_t max_rows, Progress& progress);

}  // namespace longshadow
