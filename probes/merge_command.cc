#include <filesystem>

#include "analysis/runs/merge.h"
#include "analysis/runs/run_directory.h"
#include "data/format/publish.h"
#include "probes/commands.h"
#include "probes/option_parsing.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

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
  po::options_description options("Options");
  auto add = options.add_options();
  add("directory", po::value<std::string>()->required(), "the run directory (may go first)");
  add("output,o", po::value<std::string>()->required(), "the run file to write (HDF5)");
  po::positional_options_description positional;
  positional.add("directory", 1);
  const auto values = parse_options(kHelp, words, options, positional);
  if (!values) return 0;
  const std::filesystem::path output = (*values)["output"].as<std::string>();
  check_output(output);
  const RunDirectory directory((*values)["directory"].as<std::string>());
  merge_run(directory, output);
  return 0;
}

}  // namespace longshadow
