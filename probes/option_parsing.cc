#include "probes/option_parsing.h"

#include <iostream>
#include <vector>

#include "engine/core/error.h"

namespace longshadow {

namespace po = boost::program_options;

std::optional<po::variables_map> parse_options(
    const CommandHelp& help, std::span<const std::string> words,
    const po::options_description& options, const po::positional_options_description& positional) {
  po::options_description all = options;
  all.add_options()("help,h", "show this help and exit");
  po::variables_map values;
  try {
    po::store(po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
                  .options(all)
                  .positional(positional)
                  .run(),
              values);
    if (values.count("help") != 0) {
      std::cout << "Usage: longshadow " << help.usage << "\n\n"
                << help.purpose << "\n\n"
                << all << "\nExamples:\n"
                << help.examples;
      return std::nullopt;
    }
    po::notify(values);
  } catch (const po::error& error) {
    throw UsageError(std::string(error.what()) + " (see --help)");
  }
  return values;
}

}  // namespace longshadow
