#include <iostream>

#include "engine/core/error.h"
#include "probes/commands/commands.h"

namespace longshadow {
namespace {

constexpr char kHelp[] =
    "Learns from measured influence what the cache is for.\n\n"
    "Usage: longshadow learn budgets|ranking RUN.h5... [options]\n\n"
    "  budgets   how many slots each KV head deserves under a ranking\n"
    "  ranking   a ranking of each KV head's tokens\n\n"
    "`longshadow learn budgets --help` and `longshadow learn ranking --help` explain them.\n";

}  // namespace

int learn_command(std::span<const std::string> words) {
  if (words.empty()) throw UsageError("learn: expected budgets or ranking (see --help)");
  if (words[0] == "--help" || words[0] == "-h") {
    std::cout << kHelp;
    return 0;
  }
  if (words[0] == "budgets") return learn_budgets_command(words.subspan(1));
  if (words[0] == "ranking") return learn_ranking_command(words.subspan(1));
  throw UsageError("learn: expected budgets or ranking, found \"" + words[0] + "\"");
}

}  // namespace longshadow
