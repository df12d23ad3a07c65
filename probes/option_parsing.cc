#include "probes/option_parsing.h"

#include <cctype>
#include <iostream>
#include <vector>

#include "engine/core/error.h"

namespace longshadow {

namespace po = boost::program_options;

namespace {

/// No option takes a negative number, and Boost reads -1 as the largest unsigned one.
void refuse_negative_numbers(const po::parsed_options& parsed) {
  for (const po::option& option : parsed.options) {
    for (const std::string& value : option.value) {
      if (value.size() > 1 && value[0] == '-' &&
          std::isdigit(static_cast<unsigned char>(value[1]))) {
        throw UsageError("--" + option.string_key + ": expected no negative number, found " +
                         value);
      }
    }
  }
}

}  // namespace

std::optional<po::variables_map> parse_options(
    const CommandHelp& help, std::span<const std::string> words,
    const po::options_description& options, const po::positional_options_description& positional) {
  po::options_description all = options;
  all.add_options()("help,h", "show this help and exit");
  po::variables_map values;
  try {
    const po::parsed_options parsed =
        po::command_line_parser(std::vector<std::string>(words.begin(), words.end()))
            .options(all)
            .positional(positional)
            .run();
    refuse_negative_numbers(parsed);
    po::store(parsed, values);
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
