#include <filesystem>
#include <iostream>

#include "analysis/runs/merge.h"
#include "analysis/runs/run_directory.h"
#include "data/format/publish.h"
#include "probes/commands/commands.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

const CommandHelp kHelp{
    "merge DIR --output RUN.h5",
    "Makes one run file of a run directory: of what `longshadow probe` or `retain` wrote with\n"
    "-o DIR/, in one process or in many with --shard. The same run gives the same bytes, however\n"
    "it was divided. Where something is missing nothing is written, and what is missing is named;\n"
    "`longshadow analyze DIR` shows what is there.",
    "  longshadow probe --document a.txt --shard 1/2 -o run &\n"
    "  longshadow probe --document a.txt --shard 2/2 -o run\n"
    "  longshadow merge run -o run.h5\n"};

}  // namespace

int merge_command(std::span<const std::string> words) {
  std::string directory;
  std::string output;
  OptionSet options(kHelp);
  options.add("directory", required(directory), "the run directory (may go first)");
  options.add("output,o", required(output), "the run file to write (HDF5)");
  options.take_words("directory", 1);
  return options.run(words, std::cout, [&] {
    check_output(output);
    merge_run(RunDirectory(directory), output);
    return 0;
  });
}

}  // namespace longshadow
