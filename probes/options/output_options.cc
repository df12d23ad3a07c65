#include "probes/options/output_options.h"

#include <algorithm>
#include <string_view>

#include "engine/core/error.h"
#include "engine/text/number_list.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

/// Reads "3/8", the third of eight; nothing for an empty text. Throws UsageError.
std::optional<Share> parse_shard(const std::string& text) {
  if (text.empty()) return std::nullopt;
  const std::size_t slash = std::min(text.find('/'), text.size());
  const auto index = whole_number(std::string_view(text).substr(0, slash));
  const auto count = whole_number(std::string_view(text).substr(std::min(slash + 1, text.size())));
  if (!index || !count || *index < 1 || *index > *count || *count > 1'000'000) {
    throw UsageError("expected I/N with I from 1 to N, as in 3/8");
  }
  return Share{*index - 1, *count};
}

}  // namespace

void OutputOptions::declare(OptionSet& options) {
  options
      .add("output,o", required(output),
           "the run file to write (HDF5); until it is whole, what is measured is in OUTPUT.parts, "
           "where the same command goes on after an interruption. DIR/: a run directory instead, "
           "which `longshadow merge` makes a file of")
      .leaves_no_trace();
  options
      .add("shard", parsed(shard, parse_shard, "", "all"),
           "measure the I-th of N parts, as in 3/8, into the run directory --output: for job "
           "arrays")
      .leaves_no_trace();
  options
      .add("dry-run", flag(is_dry_run),
           "check the options, the model and the documents, say what there is to measure, and end; "
           "the device need not be here")
      .leaves_no_trace();
}

}  // namespace longshadow
