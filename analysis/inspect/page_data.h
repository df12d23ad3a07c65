#pragma once

#include <string>
#include <vector>

#include "analysis/statistics/measurements.h"
#include "data/format/run_file.h"

namespace longshadow {

/// How finely the large arrays of a document are stored in the page. Scalars of a token, and what
/// was measured near, far and in a sentence, are always the run file's own, as float32.
struct PageDetail {
  bool kv_heads;   ///< attention of each KV head of a layer, or the mean over them
  int layer_bits;  ///< of a value by layer: 8 or 16
  int curve_bits;  ///< of one KL of an influence curve: 8 or 16
};

/// Writes what the page shows of the run besides its documents, as JSON: the model, the options,
/// the names of tags and signals.
std::string run_json(const RunFile& run);

/// Writes what the page shows of one document, as JSON that may stand inside a script element:
/// UTF-8 without '<'. `bins` are the distance bins of the run's spans, none where it has none.
/// Arrays are objects {type, data}, data in base64 and little-endian; data.js reads them.
std::string document_json(const DocumentRun& document, const RunModel& model,
                          const std::vector<DistanceBin>& bins, const PageDetail& detail);

}  // namespace longshadow
