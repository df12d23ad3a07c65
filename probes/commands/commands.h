#pragma once

#include <span>
#include <string>

namespace longshadow {

// The subcommands: each takes the words after its name and returns the exit status. They throw
// UsageError (exit 2), Interrupted (128 + signal) or another std::exception (exit 1).

int probe_command(std::span<const std::string> words);
int retain_command(std::span<const std::string> words);
int merge_command(std::span<const std::string> words);
int plan_command(std::span<const std::string> words);
int info_command(std::span<const std::string> words);
int generate_command(std::span<const std::string> words);
int bench_command(std::span<const std::string> words);
int learn_command(std::span<const std::string> words);
/// `longshadow learn budgets` and `longshadow learn ranking`.
int learn_budgets_command(std::span<const std::string> words);
int learn_ranking_command(std::span<const std::string> words);
int pos_command(std::span<const std::string> words);

}  // namespace longshadow
