#include <boost/program_options/errors.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "analysis/command.h"
#include "analysis/inspect/command.h"
#include "engine/core/error.h"
#include "engine/text/utf8.h"
#include "probes/commands/commands.h"
#include "probes/runs/interrupt.h"
#ifdef LONGSHADOW_WITH_CUDA
#include "engine/cuda/cuda.h"
#endif

namespace longshadow {
namespace {

struct Subcommand {
  const char* name;
  int (*run)(std::span<const std::string> words);
  const char* purpose;
};

int analyze(std::span<const std::string> words) {
  return analyze_command(std::vector<std::string>(words.begin(), words.end()), std::cout);
}

int inspect(std::span<const std::string> words) {
  return inspect_command(std::vector<std::string>(words.begin(), words.end()), std::cout);
}

constexpr Subcommand kSubcommands[] = {
    {"probe", probe_command, "remove tokens from the cache and measure what changes"},
    {"retain", retain_command, "compress the cache by eviction policies and measure what it costs"},
    {"learn", learn_command, "how many slots each head deserves, from measured influence"},
    {"merge", merge_command, "a run directory, measured in parts, as one run file"},
    {"analyze", analyze, "influence against distance and rank correlations, as tables"},
    {"inspect", inspect, "a run as one HTML page to read its tokens on"},
    {"plan", plan_command, "the memory and arithmetic that a probe would take"},
    {"info", info_command, "what a model file holds"},
    {"pos", pos_command, "parts of speech: tag a text, train and evaluate the tagger"},
    {"generate", generate_command, "write text on a cache that a policy compressed"},
    {"bench", bench_command, "how fast this machine measures"},
};

void print_help(std::ostream& out) {
  out << "Longshadow measures how far a token's shadow falls: what removing it from a language\n"
         "model's KV cache does to every later predictive distribution.\n\n"
         "Usage: longshadow COMMAND [options]\n\nCommands:\n";
  for (const Subcommand& command : kSubcommands) {
    out << "  " << command.name << std::string(10 - std::strlen(command.name), ' ')
        << command.purpose << '\n';
  }
  out << "\n`longshadow COMMAND --help` explains each; --version prints the version.\n"
         "Exit status: 0 done, 1 the run failed, 2 bad usage, 130 or 143 interrupted.\n";
}

int run(const std::vector<std::string>& words) {
  if (words.empty()) {
    print_help(std::cerr);
    return 2;
  }
  if (words[0] == "--help" || words[0] == "-h") {
    print_help(std::cout);
    return 0;
  }
  if (words[0] == "--version") {
    std::cout << "longshadow " LONGSHADOW_VERSION "\n";
    return 0;
  }
  for (const Subcommand& command : kSubcommands) {
    if (words[0] == command.name) return command.run(std::span(words).subspan(1));
  }
  throw UsageError("\"" + words[0] + "\" is no command; longshadow --help lists them");
}

/// Throws Error where what was printed did not all get out: the disk behind a redirection is full.
void finish_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0 || !std::cout) {
    throw Error("standard output: not everything could be written; is the disk full?");
  }
}

/// A message may quote names from a stranger's file.
int fail(int status, const char* message) {
  constexpr std::size_t kLongestMessage = 16 << 10;  // two paths and more
  std::cerr << "longshadow: " << printable(message, kLongestMessage) << '\n';
  return status;
}

}  // namespace
}  // namespace longshadow

int main(int argc, char** argv) {
  using namespace longshadow;
#ifdef LONGSHADOW_WITH_CUDA
  provide_cuda();
#endif
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its limit (ulimit -f) is an error, as a full disk is
  try {
    const int status = run({argv + 1, argv + argc});
    finish_output();
    return status;
  } catch (const Interrupted& interrupted) {
    return fail(128 + interrupted.signal, interrupted.what());
  } catch (const UsageError& error) {
    return fail(2, error.what());
  } catch (const boost::program_options::error& error) {
    return fail(2, error.what());
  } catch (const std::invalid_argument& error) {
    return fail(2, error.what());
  } catch (const std::bad_alloc&) {
    return fail(1,
                "out of memory; a shorter --context, a smaller --future or --precision f32 "
                "needs less");
  } catch (const std::exception& error) {
    return fail(1, error.what());
  }
}
