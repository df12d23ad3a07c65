#include <algorithm>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/nearest_name.h"
#include "engine/model/checkpoint.h"
#include "engine/policy/registry.h"
#include "probes/chat_prompt.h"
#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/document.h"
#include "probes/document_run.h"
#include "probes/generation.h"
#include "probes/interrupt.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/policy_choice.h"
#include "probes/probe_options.h"
#include "probes/quantization_options.h"
#include "probes/sampling_options.h"
#include "probes/text_stream.h"
#include "probes/timing.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

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

po::options_description options() {
  po::options_description options("Options");
  add_model_options(options);
  add_device_option(options);
  add_quantization_options(options);
  auto add = options.add_options();
  add("prompt", po::value<std::string>(), "the text to go on from");
  add("document,d", po::value<std::string>(),
      "a UTF-8 text to go on from: a file, a pipe, or - for standard input");
  add("context,T", po::value<std::size_t>()->default_value(0, "all"),
      "tokens of the text to go on from, without --chat");
  add("parse-special", po::bool_switch(),
      "the spelling of a special token in the text is that token, not plain text, as in a prompt "
      "that is a rendered chat");
  add_chat_options(options);
  add("max-tokens,n", po::value<std::size_t>()->default_value(128), "tokens to write at most");
  add_sampling_options(options);
  add = options.add_options();
  add("policy", po::value<std::string>()->default_value("full"), "what compresses the cache");
  add("budget", po::value<double>()->default_value(1), "share of the prompt's slots to keep");
  add("every", po::value<std::size_t>()->default_value(kCutEvery),
      "while writing, cut the cache after every so many tokens, where there is a target");
  add("target", po::value<std::size_t>(), "slots of a KV head that a cut leaves");
  add("target-share", po::value<double>(),
      "the same as a share of the tokens so far, prompt and text");
  add("precision", po::value<std::string>()->default_value("f32"), "f32, or f64 as the truth");
  add("entropy-top-k", po::value<std::size_t>()->default_value(kEntropyTopK),
      "tokens that the entropy looks at");
  add("compare-scoring", po::bool_switch(),
      "instead of text: what scoring costs, in three rounds beside streaming-llm, which scores "
      "nothing, and snapkv");
  return options;
}

bool has(const po::variables_map& values, const char* name) { return values.count(name) != 0; }

SpecialTokens special_tokens(const po::variables_map& values) {
  return values["parse-special"].as<bool>() ? SpecialTokens::parse : SpecialTokens::as_text;
}

/// The text to go on from; of a document no more than --context, or what the model reads, needs.
std::string read_text(const po::variables_map& values, const Checkpoint& checkpoint) {
  if (has(values, "prompt") == has(values, "document")) {
    throw UsageError(
        "give one of --prompt, --document and --messages, which the text goes on from");
  }
  if (has(values, "prompt")) return values["prompt"].as<std::string>();
  const std::string path = values["document"].as<std::string>();
  const std::size_t most = checkpoint.config().max_context;
  const std::size_t context = values["context"].as<std::size_t>();
  const bool is_whole = context == 0 || is_chat(values);
  const Document document =
      read_document(path, path, checkpoint.tokenizer(), special_tokens(values), BosPolicy::no,
                    is_whole ? most + 1 : context);
  if (is_whole && document.tokens.size() > most) {
    throw UsageError(path + ": expected at most the " + std::to_string(most) +
                     " tokens that the model can read, found more; --context takes the first");
  }
  return document.text;
}

std::vector<TokenId> ids_of(const std::vector<Token>& tokens) {
  std::vector<TokenId> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

/// The tokens of a prompt that is a plain text or, where there is one, `chat`. In a chat, special
/// tokens are parsed, as in transformers: the template spells them.
std::vector<TokenId> read_prompt(const po::variables_map& values, const Checkpoint& checkpoint,
                                 const std::optional<ChatPrompt>& chat) {
  const Tokenizer& tokenizer = checkpoint.tokenizer();
  if (!chat) {
    const std::string text = read_text(values, checkpoint);
    std::vector<TokenId> ids = ids_of(tokenizer.encode(text, special_tokens(values)));
    if (tokenizer.adds_bos()) ids.insert(ids.begin(), tokenizer.required_bos());
    const std::size_t context = values["context"].as<std::size_t>();
    if (context > ids.size()) {
      throw UsageError("--context " + std::to_string(context) + ": the text has only " +
                       std::to_string(ids.size()) + " tokens");
    }
    if (context != 0) ids.resize(context);
    return ids;
  }
  return ids_of(tokenizer.encode(chat->text, SpecialTokens::parse));
}

std::optional<ChatPrompt> read_chat(const po::variables_map& values, const Checkpoint& checkpoint) {
  check_chat_options(values);
  if (!is_chat(values)) return std::nullopt;
  const ChatSettings& settings = checkpoint.generation().chat;
  check_has_template(settings);
  const std::string said = has(values, "messages") ? "" : read_text(values, checkpoint);
  return render_chat_prompt(values, settings, said);
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
std::optional<DecodingInterval> read_interval(const po::variables_map& values,
                                              const PolicyModel& model) {
  DecodingInterval interval{values["every"].as<std::size_t>()};
  if (has(values, "target")) interval.target = values["target"].as<std::size_t>();
  if (has(values, "target-share")) interval.target_share = values["target-share"].as<double>();
  const auto policy = make_policy(values["policy"].as<std::string>(), model);
  const bool cuts = interval.target || interval.target_share || !values["every"].defaulted() ||
                    policy->kept_while_writing(interval.every, 0);
  return cuts ? std::optional(interval) : std::nullopt;
}

void refuse_eviction_without_policy(const po::variables_map& values,
                                    const GenerationOptions& options) {
  if (!values["policy"].defaulted()) return;
  const auto refuse = [](const std::string& option) {
    throw UsageError(option +
                     ": nothing is evicted without a policy; give --policy too, as in --policy "
                     "snapkv");
  };
  if (has(values, "target")) refuse("--target");
  if (has(values, "target-share")) refuse("--target-share");
  if (options.interval) refuse("--every");
  if (options.budget > 0 && options.budget < 1) refuse("--budget");
}

GenerationOptions read_options(const po::variables_map& values, const PolicyModel& model) {
  GenerationOptions options;
  options.policy_model = model;
  options.policy = values["policy"].as<std::string>();
  options.budget = values["budget"].as<double>();
  read_sampling(values, options);
  options.entropy_top_k = values["entropy-top-k"].as<std::size_t>();
  options.max_tokens = values["max-tokens"].as<std::size_t>();
  options.interval = read_interval(values, model);
  refuse_eviction_without_policy(values, options);
  options.quantization = read_quantization(values);
  return options;
}

/// What of the options the text depends on and a reader may not have given.
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

template <class Device, class T>
void write_text(Device& device, const Checkpoint& checkpoint, const Weights<T>& weights,
                const EntropyHead<Device, T>& entropy_head, std::span<const TokenId> prompt,
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

template <class Device, class T>
void compare_scoring(Device& device, const Weights<T>& weights,
                     const EntropyHead<Device, T>& entropy_head, std::span<const TokenId> prompt,
                     GenerationOptions options) {
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

template <class T, class Device>
void run(Device& device, const Checkpoint& checkpoint, std::span<const TokenId> prompt,
         const GenerationOptions& options, bool compare) {
  const Weights<T> weights = load_weights<T>(device, checkpoint);
  const EntropyHead<Device, T> entropy_head(device, weights);
  if (compare) {
    compare_scoring(device, weights, entropy_head, prompt, options);
  } else {
    write_text(device, checkpoint, weights, entropy_head, prompt, options);
  }
}

}  // namespace

int generate_command(std::span<const std::string> words) {
  const auto parsed = parse_options(help(), words, options());
  if (!parsed) return 0;
  const po::variables_map& values = *parsed;
  CommandDevice device(values);
  const auto checkpoint = open_model(values["model"].as<std::string>(), std::cerr);
  GenerationOptions options = read_options(values, policy_model(*checkpoint));
  const Precision precision = parse_plain_precision(values["precision"].as<std::string>());
  const bool compare = values["compare-scoring"].as<bool>();
  if (compare && options.budget == 1 && !options.interval) {
    throw UsageError(
        "--compare-scoring: nothing is scored without a --budget below 1, --target or "
        "--target-share");
  }
  if (compare && options.interval && !options.interval->target && !options.interval->target_share) {
    throw UsageError(
        "--compare-scoring: every policy must cut to the same target, and none is given; give "
        "--target or --target-share");
  }
  follow_model_settings(values, *checkpoint, options);
  const std::optional<ChatPrompt> chat = read_chat(values, *checkpoint);
  if (chat && values["show-prompt"].as<bool>()) {
    std::fwrite(chat->text.data(), 1, chat->text.size(), stdout);
    return 0;
  }
  if (chat && chat->date) std::fprintf(stderr, "date: %s\n", chat->date->c_str());
  const std::vector<TokenId> prompt = read_prompt(values, *checkpoint, chat);
  check_ids(prompt, checkpoint->config(), "the prompt");
  check_generation(checkpoint->config(), prompt.size(), options);
  tell_unapplied_settings(values, checkpoint->generation(), std::cerr);
  tell_repeated_beginning(prompt, checkpoint->tokenizer().bos(), std::cerr);
  note_interrupts();
  device.run([&](auto& on) {
    if (precision == Precision::f64) {
      run<double>(on, *checkpoint, prompt, options, compare);
    } else {
      run<float>(on, *checkpoint, prompt, options, compare);
    }
  });
  return 0;
}

}  // namespace longshadow
