#pragma once

#include <boost/program_options.hpp>
#include <optional>
#include <span>
#include <string>

namespace longshadow {

/// What a subcommand's --help shows around the options.
struct CommandHelp {
  std::string usage;     ///< after "Usage: longshadow "
  std::string purpose;   ///< a short paragraph
  std::string examples;  ///< lines ready to be pasted
};

/// Parses a subcommand's words. Prints the help and returns nothing where --help is among them.
/// Throws UsageError on an unknown, repeated or malformed option.
std::optional<boost::program_options::variables_map> parse_options(
    const CommandHelp& help, std::span<const std::string> words,
    const boost::program_options::options_description& options,
    const boost::program_options::positional_options_description& positional = {});

}  // namespace longshadow
