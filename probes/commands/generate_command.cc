#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include "engine/checkpoint/checkpoint.h"
#include "engine/core/error.h"
#include "engine/policies/registry.h"
#include "engine/text/nearest_name.h"
#include "engine/text/text_stream.h"
#include "probes/commands/commands.h"
#include "probes/compression/policy_choice.h"
#include "probes/experiments/document_run.h"
#include "probes/experiments/generation.h"
#include "probes/models/model_location.h"
#include "probes/options/method_options.h"
#include "probes/options/model_options.h"
#include "probes/options/option_set.h"
#include "probes/options/prompt_options.h"
#include "probes/options/quantization_options.h"
#include "probes/options/sampling_options.h"
#include "probes/runs/interrupt.h"
#include "probes/runs/timing.h"

namespace longshadow {
namespace {

CommandHelp help() {
  return {
      "generate --prompt TEXT | --document FILE | --messages FILE.json [options]",
      "Writes text behind a prompt, on the KV cache that an eviction policy left of it. The text\n"
      "comes on standard output, speed and memory on standard error. It ends with a token that\n"
      "generation_config.json lists as eos_token_id, or else config.json; in a GGUF file with any\n"
      "that llama.cpp takes for an end of generation: eos, eot, eom, <|im_end|>, <|eot_id|>,\n"
      "<|endoftext|> and their like. Rows of the vocabulary that are no token's are never drawn;\n"
      "bytes that are no UTF-8 come out as U+FFFD. Of the model's own settings the repetition\n"
      "penalty is applied; a line says which others are not.\n\n"
      "Policies: NAME, NAME:option=value,option=value or, for one that selects by another's\n"
      "scores, NAME/OTHER (adakv/infokv). There are\n  " +
          comma_list(policy_names()) +
          "\n--budget has the policy compress the prompt. --target N or --target-share S has it\n"
          "cut the cache back while text is written, each time --every tokens were written: a KV\n"
          "head then keeps N slots, or floor(S n) of the n tokens so far, prompt and text, those\n"
          "evicted included; a head of fewer slots keeps them. Tokens of prompt and text are\n"
          "scored alike, by the entropy and drift of the step that read each; what a policy\n"
          "protects (infokv: 4 sinks, the last 64) stays at every cut. rpc keeps the whole "
          "prompt,\n"
          "the last 32 tokens and, of every 1024 written before them, 256 (1024 / ratio); a "
          "target\n"
          "that is given counts all of these.",
      "  longshadow generate --prompt \"What is a cache?\" --chat\n"
      "  longshadow generate --document a.txt --max-tokens 200 --temperature 0.8 --seed 7\n"
      "  longshadow generate --document a.txt --policy infokv --budget 0.25 --kv-bits 4\n"
      "  longshadow generate --prompt \"Once\" -n 4000 --policy infokv --target-share 0.25\n"
      "  longshadow generate --prompt \"Once\" -n 4000 --policy rpc\n"
      "  longshadow generate --document a.txt -n 4000 --policy snapkv --every 512 --target 1024\n"
      "  longshadow generate --document a.txt --policy infokv --budget 0.25 --compare-scoring\n"};
}

/// The options of the command, as they are read.
struct GenerateCommand {
  ModelOptions model;
  QuantizationOptions quantization;
  PromptOptions prompt;
  std::size_t max_tokens = 128;
  DrawingOptions drawing;
  std::string policy = "full";
  double budget = 1;
  DecodingInterval interval{kCutEvery};
  Precision precision = Precision::f32;
  std::size_t entropy_top_k = kEntropyTopK;
  bool compares_scoring = false;

  void declare(OptionSet& options);
};

void GenerateCommand::declare(OptionSet& options) {
  model.declare(options);
  quantization.declare(options);
  prompt.declare(options);
  options.add("max-tokens,n", value(max_tokens), "tokens to write at most");
  drawing.declare(options);
  options.add("policy", value(policy), "what compresses the cache");
  options.add("budget", value(budget), "share of the prompt's slots to keep");
  options.add("every", value(interval.every),
              "while writing, cut the cache after every so many tokens, where there is a target");
  options.add("target", value(interval.target), "slots of a KV head that a cut leaves");
  options.add("target-share", value(interval.target_share),
              "the same as a share of the tokens so far, prompt and text");
  declare_plain_precision(options, precision);
  options.add("entropy-top-k", value(entropy_top_k), "tokens that the entropy looks at");
  options.add("compare-scoring", flag(compares_scoring),
              "instead of text: what scoring costs, in three rounds beside streaming-llm, which "
              "scores nothing, and snapkv");
}

/// The text of a rendered chat may begin with the token that the tokenizer adds.
void tell_repeated_beginning(std::span<const TokenId> prompt, std::optional<TokenId> bos,
                             std::ostream& log) {
  if (bos && prompt.size() > 1 && prompt[0] == *bos && prompt[1] == *bos) {
    log << "longshadow: the prompt begins with two beginning-of-sequence tokens, its own and the "
           "tokenizer's; leave out the text's\n";
  }
}

/// Cuts while writing, where any are asked for or the policy's own rule makes them.
std::optional<DecodingInterval> interval_of(const GenerateCommand& command,
                                            const OptionSet& options, const PolicyModel& model) {
  const DecodingInterval& interval = command.interval;
  const auto policy = make_policy(command.policy, model);
  const bool cuts = interval.target || interval.target_share || options.given("every") ||
                    policy->kept_while_writing(interval.every, 0);
  return cuts ? std::optional(interval) : std::nullopt;
}

/// Throws UsageError.
void refuse_eviction_without_policy(const GenerateCommand& command, const OptionSet& options) {
  if (options.given("policy")) return;
  for (const std::string option : {"target", "target-share", "every", "budget"}) {
    if (!options.given(option)) continue;
    if (option == "budget" && !(command.budget > 0 && command.budget < 1)) continue;
    throw UsageError("--" + option +
                     ": nothing is evicted without a policy; give --policy too, as in --policy "
                     "snapkv");
  }
}

/// Throws UsageError where there is nothing to compare.
void check_comparison(const GenerationOptions& generation) {
  if (generation.budget == 1 && !generation.interval) {
    throw UsageError(
        "--compare-scoring: nothing is scored without a --budget below 1, --target or "
        "--target-share");
  }
  if (generation.interval && !generation.interval->target && !generation.interval->target_share) {
    throw UsageError(
        "--compare-scoring: every policy must cut to the same target, and none is given; give "
        "--target or --target-share");
  }
}

GenerationOptions generation_options(const GenerateCommand& command, const OptionSet& options,
                                     const Checkpoint& checkpoint) {
  GenerationOptions generation;
  generation.policy_model = policy_model(checkpoint);
  generation.policy = command.policy;
  generation.budget = command.budget;
  command.drawing.check();
  generation.entropy_top_k = command.entropy_top_k;
  generation.max_tokens = command.max_tokens;
  generation.interval = interval_of(command, options, generation.policy_model);
  refuse_eviction_without_policy(command, options);
  generation.quantization = command.quantization.quantization(options);
  if (command.compares_scoring) check_comparison(generation);
  command.drawing.set(options, checkpoint, generation);
  return generation;
}

/// Names the options that the text depends on and that a reader may not have given.
std::string describe_draws(const GenerationOptions& options) {
  std::string draws = "seed " + std::to_string(options.seed);
  if (options.repetition_penalty != 1) {
    std::ostringstream penalty;
    penalty << options.repetition_penalty;
    draws += ", repetition penalty " + penalty.str();
  }
  return draws;
}

void print_summary(const Generation& result, std::size_t prompt_tokens,
                   const GenerationOptions& options) {
  const double reading = result.prefill_seconds + result.choosing_seconds;
  std::fprintf(stderr,
               "prompt: %zu tokens in %.2f s, %.0f tokens/s; of it %.2f s chose what to keep\n"
               "text: %zu tokens in %.2f s, %.1f tokens/s (%s)\n"
               "cache: %.2f MB of the prompt's %.2f MB kept, %.2f MB at the end\n",
               prompt_tokens, reading, static_cast<double>(prompt_tokens) / reading,
               result.choosing_seconds, result.tokens.size(), result.decoding_seconds,
               static_cast<double>(result.steps) / std::max(result.decoding_seconds, 1e-9),
               describe_draws(options).c_str(), static_cast<double>(result.bytes_kept) * 1e-6,
               static_cast<double>(result.bytes_full) * 1e-6,
               static_cast<double>(result.bytes_end) * 1e-6);
  if (!options.interval) return;
  if (result.cuts.count == 0) {
    std::fprintf(stderr, "cuts: none, as the text ended before the first\n");
    return;
  }
  std::fprintf(stderr, "cuts: %zu, the last at %zu tokens from %.1f to %.1f slots of a KV head\n",
               result.cuts.count, result.cuts.tokens, result.cuts.slots_before,
               result.cuts.slots_after);
}

void write_text(Device& device, const Checkpoint& checkpoint, const Weights& weights,
                const EntropyHead& entropy_head, std::span<const TokenId> prompt,
                const GenerationOptions& options) {
  TextStream text;
  const auto show = [](const std::string& piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  const Generation result = generate(
      device, weights, entropy_head, prompt, options,
      [&](TokenId token) { show(text.add(checkpoint.tokenizer().decode(std::span(&token, 1)))); });
  show(text.finish() + "\n");
  print_summary(result, prompt.size(), options);
}

constexpr std::size_t kRounds = 3;

/// One policy's times, round by round.
struct Times {
  std::string policy;
  std::vector<double> prefill, decoding, total;
};

/// How much longer than `base` it took, in %: the median of the rounds' own ratios, as the
/// machine's speed drifts.
double overhead(const std::vector<double>& times, const std::vector<double>& base) {
  std::vector<double> percent;
  for (std::size_t round = 0; round < kRounds; ++round) {
    percent.push_back(100 * (times[round] / base[round] - 1));
  }
  return upper_median(percent);
}

void compare_scoring(Device& device, const Weights& weights, const EntropyHead& entropy_head,
                     std::span<const TokenId> prompt, GenerationOptions options) {
  options.end_tokens.clear();  // as many tokens for each
  std::vector<Times> all{{"streaming-llm", {}, {}, {}}, {"snapkv", {}, {}, {}}};
  if (options.policy != "streaming-llm" && options.policy != "snapkv") {
    all.push_back({options.policy, {}, {}, {}});
  }
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (Times& times : all) {
      options.policy = times.policy;
      const Generation result =
          generate(device, weights, entropy_head, prompt, options, [](TokenId) {});
      times.prefill.push_back(result.prefill_seconds + result.choosing_seconds);
      times.decoding.push_back(result.decoding_seconds);
      times.total.push_back(times.prefill.back() + times.decoding.back());
    }
  }
  std::printf("%zu tokens of prompt, %zu written; medians of %zu rounds, seconds\n\n",
              prompt.size(), options.max_tokens, kRounds);
  std::printf("%-24s %9s %9s %9s   %s\n", "", "prompt", "text", "both",
              "prompt, text, both longer than streaming-llm; snapkv");
  for (const Times& times : all) {
    std::printf("%-24s %9.3f %9.3f %9.3f  ", times.policy.c_str(), upper_median(times.prefill),
                upper_median(times.decoding), upper_median(times.total));
    for (std::size_t base = 0; base < 2; ++base) {
      std::printf(" %+.1f%% %+.1f%% %+.1f%%%s", overhead(times.prefill, all[base].prefill),
                  overhead(times.decoding, all[base].decoding),
                  overhead(times.total, all[base].total), base == 0 ? ";" : "\n");
    }
  }
}

int run(const GenerateCommand& command, const OptionSet& options) {
  CommandDevice device(command.model);
  const auto checkpoint = open_model(command.model.model, std::cerr);
  const GenerationOptions generation = generation_options(command, options, *checkpoint);
  const std::optional<ChatPrompt> chat = command.prompt.read_chat(*checkpoint);
  if (chat && command.prompt.chat.shows_prompt) {
    std::fwrite(chat->text.data(), 1, chat->text.size(), stdout);
    return 0;
  }
  if (chat && chat->date) std::fprintf(stderr, "date: %s\n", chat->date->c_str());
  const std::vector<TokenId> prompt = command.prompt.read_tokens(*checkpoint, chat);
  check_ids(prompt, checkpoint->config(), "the prompt");
  check_generation(checkpoint->config(), prompt.size(), generation);
  tell_unapplied_settings(options, command.drawing, checkpoint->generation(), std::cerr);
  tell_repeated_beginning(prompt, checkpoint->tokenizer().bos(), std::cerr);
  note_interrupts();
  const Weights weights =
      load_weights(device.get(), *checkpoint, element_of_pass(command.precision));
  const EntropyHead entropy_head(device.get(), weights);
  if (command.compares_scoring) {
    compare_scoring(device.get(), weights, entropy_head, prompt, generation);
  } else {
    write_text(device.get(), *checkpoint, weights, entropy_head, prompt, generation);
  }
  return 0;
}

}  // namespace

int generate_command(std::span<const std::string> words) {
  GenerateCommand command;
  OptionSet options(help());
  command.declare(options);
  return options.run(words, std::cout, [&] { return run(command, options); });
}

}  // namespace longshadow
