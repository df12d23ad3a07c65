#include <algorithm>
#include <cstdio>
#include <iostream>

#include "engine/chat/chat_template.h"
#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "engine/model/checkpoint.h"
#include "engine/policy/nearest_name.h"
#include "engine/policy/registry.h"
#include "probes/commands.h"
#include "probes/device_option.h"
#include "probes/generation.h"
#include "probes/interrupt.h"
#include "probes/model_location.h"
#include "probes/option_parsing.h"
#include "probes/probe_options.h"
#include "probes/quantization_options.h"
#include "probes/text_stream.h"
#include "probes/timing.h"

namespace longshadow {
namespace {

namespace po = boost::program_options;

CommandHelp help() {
  return {
      "generate --prompt TEXT | --document FILE [options]",
      "Writes text behind a prompt, on the KV cache that an eviction policy left of it. The text\n"
      "comes on standard output, speed and memory on standard error.\n\n"
      "Policies: NAME, NAME:option=value,option=value or, for one that selects by another's\n"
      "scores, NAME/OTHER (adakv/infokv). There are\n  " +
          comma_list(policy_names()),
      "  longshadow generate --prompt \"What is a cache?\" --chat\n"
      "  longshadow generate --document a.txt --max-tokens 200 --temperature 0.8 --seed 7\n"
      "  longshadow generate --document a.txt --policy infokv --budget 0.25 --kv-bits 4\n"
      "  longshadow generate --prompt \"Once\" --max-tokens 4000 --policy infokv --every 512 "
      "--target 1024\n"
      "  longshadow generate --document a.txt --policy infokv --budget 0.25 --compare-scoring\n"};
}

po::options_description options() {
  po::options_description options("Options");
  add_model_options(options);
  add_device_option(options);
  add_quantization_options(options);
  auto add = options.add_options();
  add("prompt", po::value<std::string>(), "the text to go on from");
  add("document,d", po::value<std::string>(), "a UTF-8 text file to go on from");
  add("context,T", po::value<std::size_t>()->default_value(0, "all"),
      "tokens of the text to go on from, without --chat");
  add("chat", po::bool_switch(),
      "the text is what a user says, put into the model's chat template");
  add("system", po::value<std::string>(), "with --chat: what the system says before it");
  add("max-tokens,n", po::value<std::size_t>()->default_value(128), "tokens to write at most");
  add("temperature", po::value<double>()->default_value(0),
      "0: always the likeliest token; 1: as the model says; more: flatter");
  add("top-p", po::value<double>()->default_value(1),
      "draw from the fewest likeliest tokens that have this much probability together");
  add("seed", po::value<std::uint64_t>()->default_value(0), "of every random choice");
  add("policy", po::value<std::string>()->default_value("full"), "what compresses the cache");
  add("budget", po::value<double>()->default_value(1), "share of the prompt's slots to keep");
  add("every", po::value<std::size_t>()->default_value(0, "never"),
      "while writing, cut the cache after every so many tokens");
  add("target", po::value<std::size_t>()->default_value(2048), "slots that --every cuts back to");
  add("precision", po::value<std::string>()->default_value("f32"), "f32, or f64 as the truth");
  add("entropy-top-k", po::value<std::size_t>()->default_value(kEntropyTopK),
      "tokens that the entropy looks at");
  add("compare-scoring", po::bool_switch(),
      "instead of text: what scoring costs, in three rounds beside streaming-llm, which scores "
      "nothing, and snapkv");
  return options;
}

bool has(const po::variables_map& values, const char* name) { return values.count(name) != 0; }

std::string read_text(const po::variables_map& values) {
  if (has(values, "prompt") == has(values, "document")) {
    throw UsageError("give either --prompt or --document, which the text goes on from");
  }
  if (has(values, "prompt")) return values["prompt"].as<std::string>();
  const MappedFile file(values["document"].as<std::string>());
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::vector<TokenId> ids_of(const std::vector<Token>& tokens) {
  std::vector<TokenId> ids;
  for (const Token& token : tokens) ids.push_back(token.id);
  return ids;
}

/// The prompt's tokens. In a chat, special tokens are parsed, as in transformers: the template
/// spells them.
std::vector<TokenId> read_prompt(const po::variables_map& values, const Checkpoint& checkpoint) {
  const std::string text = read_text(values);
  const Tokenizer& tokenizer = checkpoint.tokenizer();
  const GenerationSettings& settings = checkpoint.generation();
  if (!values["chat"].as<bool>()) {
    if (has(values, "system")) throw UsageError("--system is for --chat; add it");
    std::vector<TokenId> ids = ids_of(tokenizer.encode(text));
    if (tokenizer.adds_bos()) ids.insert(ids.begin(), *tokenizer.bos());
    const std::size_t context = values["context"].as<std::size_t>();
    if (context > ids.size()) {
      throw UsageError("--context " + std::to_string(context) + ": the text has only " +
                       std::to_string(ids.size()) + " tokens");
    }
    if (context != 0) ids.resize(context);
    return ids;
  }
  if (settings.chat_template.empty()) {
    throw UsageError("--chat: this model has no chat template; leave it out");
  }
  std::vector<ChatMessage> messages;
  if (has(values, "system")) messages.push_back({"system", values["system"].as<std::string>()});
  messages.push_back({"user", text});
  const ChatTemplate chat(settings.chat_template, "the model's chat template");
  return ids_of(tokenizer.encode(chat.render(messages, {settings.bos_token, settings.eos_token}),
                                 SpecialTokens::parse));
}

GenerationOptions read_options(const po::variables_map& values) {
  GenerationOptions options;
  options.policy = values["policy"].as<std::string>();
  options.budget = values["budget"].as<double>();
  options.sampling = {values["temperature"].as<double>(), values["top-p"].as<double>()};
  options.seed = values["seed"].as<std::uint64_t>();
  options.entropy_top_k = values["entropy-top-k"].as<std::size_t>();
  options.max_tokens = values["max-tokens"].as<std::size_t>();
  const std::size_t every = values["every"].as<std::size_t>();
  if (every != 0) options.interval = DecodingInterval{every, values["target"].as<std::size_t>()};
  if (every == 0 && !values["target"].defaulted()) {
    throw UsageError("--target is what --every cuts back to; give --every too");
  }
  options.quantization = read_quantization(values);
  if (!(options.sampling.temperature >= 0 && options.sampling.temperature <= 100)) {
    throw UsageError("--temperature: expected 0 to 100");
  }
  if (!(options.sampling.top_p > 0 && options.sampling.top_p <= 1)) {
    throw UsageError("--top-p: expected a probability above 0 and at most 1");
  }
  return options;
}

void print_summary(const Generation& result, std::size_t prompt_tokens, std::uint64_t seed) {
  const double reading = result.prefill_seconds + result.choosing_seconds;
  std::fprintf(stderr,
               "prompt: %zu tokens in %.2f s, %.0f tokens/s; of it %.2f s chose what to keep\n"
               "text: %zu tokens in %.2f s, %.1f tokens/s (seed %llu)\n"
               "cache: %.2f MB of the prompt's %.2f MB kept, %.2f MB at the end\n",
               prompt_tokens, reading, static_cast<double>(prompt_tokens) / reading,
               result.choosing_seconds, result.tokens.size(), result.decoding_seconds,
               static_cast<double>(result.steps) / std::max(result.decoding_seconds, 1e-9),
               static_cast<unsigned long long>(seed), static_cast<double>(result.bytes_kept) * 1e-6,
               static_cast<double>(result.bytes_full) * 1e-6,
               static_cast<double>(result.bytes_end) * 1e-6);
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
  print_summary(result, prompt.size(), options.seed);
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
  return median(percent);
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
    std::printf("%-24s %9.3f %9.3f %9.3f  ", times.policy.c_str(), median(times.prefill),
                median(times.decoding), median(times.total));
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
  GenerationOptions options = read_options(values);
  const Precision precision = parse_plain_precision(values["precision"].as<std::string>());
  const bool compare = values["compare-scoring"].as<bool>();
  if (compare && options.budget == 1 && !options.interval) {
    throw UsageError("--compare-scoring: nothing is scored without a --budget below 1 or --every");
  }
  const auto checkpoint = open_checkpoint(locate_model(values["model"].as<std::string>()));
  options.end_tokens = checkpoint->generation().end_tokens;
  const std::vector<TokenId> prompt = read_prompt(values, *checkpoint);
  check_generation(checkpoint->config(), prompt.size(), options);
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
