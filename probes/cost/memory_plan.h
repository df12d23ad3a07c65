#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engine/backend/device_kind.h"
#include "engine/config/config.h"
#include "engine/core/element.h"

namespace longshadow {

enum class Precision { f64, f32, bf16 };
enum class Method { direct, differential };

/// The type of the activations of a pass; in bf16 products with changes alone are another's.
constexpr Element element_of_pass(Precision precision) {
  return precision == Precision::f64 ? Element::f64 : Element::f32;
}

/// As on the command line and in run files: "bf16", "differential".
const char* name_of(Precision precision);
const char* name_of(Method method);

/// The demand of a probe, which decides how much memory it takes.
struct MemoryDemand {
  Precision precision;
  Method method;
  std::size_t tokens;      ///< n, of the longest document
  std::size_t tape_rows;   ///< positions whose activations the differential form keeps
  bool gradients = false;  ///< whether weights are there for gradients too
  DeviceKind device = DeviceKind::cpu;
  std::size_t query_tokens = 0;  ///< tokens whose queries eviction policies look at
};

/// Bytes that a probe takes for good, and for each row of a batch. With e bytes an element (f64 8,
/// else 4), p bytes in a product (bf16 2, else e), W weights outside the embedding, and bf16 copies
/// for bf16 products:
///   weights     (2 V D [+ V D untied] + W) e        [+ (V D + W) 2]
///   gradients   (V D + W) p
///   on a CUDA device, which reads a matrix either way and the embedding as the output:
///   weights     (V D [+ V D untied] + W) e          [+ (V D + W) 2]
///               with 2 W for all copies of W where e is 4 and the model's file keeps them in bf16
///   cache       2 L n K d e                         [+ 2 L n K d 2]
///   tape        rows (D + what the layers' parts keep) e    (differential form only)
///   signals     512 L D e + 2 L K n 8 + L n 4 + n D e
///   queries     L query_tokens H d 4 (on a CUDA device the host's: 0)
///   tiles       2 E (kRowTile - 1) (2 F + D) e, which fill up the rows of each expert (with
///   experts
///               only; F is theirs)
///   batch row   (D + changes in e) e + (D + changes in p) p + 24 ceil(V / 512)
///               (3 D + activations) e + 24 ceil(V / 512) in the direct form
/// Activations, changes and what the tape keeps are those of PartSize, summed over a layer's parts.
struct MemoryPlan {
  struct Part {
    const char* what;
    std::size_t bytes;
  };
  std::vector<Part> parts;  ///< what is there for good
  std::size_t bytes_per_batch_row = 0;
  std::size_t bytes_per_tape_row = 0;  ///< of the tape's part

  std::size_t fixed_bytes() const;
};

MemoryPlan plan_memory(const ModelConfig& config, const MemoryDemand& demand);

/// The demand that a Fisher sketch adds.
struct SketchDemand {
  std::size_t context;   ///< T
  std::size_t n_probes;  ///< of a bin
  std::size_t n_kept;    ///< probes of all bins whose projections are kept
};

/// Plans a Fisher sketch. Beside what the demand says: the gates' gradients,
/// n_probes (L K + H) T e; projections, n_kept L K T floats and once more as a file's bytes; and
/// for each row of gradients
///   (3 D + H d + the gradients of a layer's parts) e + H T e / 128.
MemoryPlan plan_sketch_memory(const ModelConfig& config, const MemoryDemand& demand,
                              const SketchDemand& sketch);

/// The demand that a comparison of eviction policies adds.
struct RetainDemand {
  std::size_t context;   ///< T
  std::size_t horizon;   ///< H
  double largest_share;  ///< of the cache that a policy keeps
};

/// Plans eviction policies, a batch row for each position of a compressed cache's future.
/// Beside what the demand says: the caches of a batch, 2 L K d T e share for H rows.
MemoryPlan plan_retain_memory(const ModelConfig& config, const MemoryDemand& demand,
                              const RetainDemand& retain);

/// Rows of counterfactuals or gradients to run at once: as many as the budget allows and help, a
/// multiple of `horizon`. A budget of 0 means no bound. Throws UsageError saying what takes how
/// much, and what would take less, where not even `horizon` rows fit.
std::size_t choose_batch_rows(const MemoryPlan& plan, std::size_t budget_bytes,
                              std::size_t horizon);

/// "1.5G", in units of 2^30 bytes.
std::string in_gibibytes(std::size_t bytes);

/// Reads bytes, or a number with K, M, G or T (powers of 1024). Throws UsageError.
std::size_t parse_bytes(const std::string& text);

}  // namespace longshadow
