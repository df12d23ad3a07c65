#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "data/format/publish.h"
#include "engine/core/error.h"
#include "engine/io/mapped_file.h"
#include "engine/part_of_speech/conllu.h"
#include "engine/part_of_speech/tagger.h"
#include "engine/part_of_speech/treebank/evaluation.h"
#include "engine/part_of_speech/treebank/training.h"
#include "engine/part_of_speech/weights_file.h"
#include "engine/text/aligned_text.h"
#include "probes/commands/commands.h"
#include "probes/documents/document_source.h"
#include "probes/models/model_location.h"
#include "probes/options/option_set.h"
#include "probes/runs/timing.h"

namespace longshadow {
namespace {

const CommandHelp kTrainHelp{
    "pos train --treebank TRAIN.conllu --output WEIGHTS [options]",
    "Trains the part-of-speech tagger, an averaged perceptron, on a treebank in CoNLL-U.",
    "  longshadow pos train --treebank en_ewt-ud-train.conllu -o english.tagger\n"};

const CommandHelp kEvalHelp{
    "pos eval --treebank DEV.conllu [options]",
    "Says how often the tagger agrees with a treebank, on its own words and from its raw text on.",
    "  longshadow pos eval --treebank en_ewt-ud-dev.conllu\n"
    "  longshadow pos eval --treebank en_ewt-ud-dev.conllu --tagger english.tagger --json "
    "out.json\n"};

const CommandHelp kTagHelp{
    "pos tag FILE [options]",
    "Prints the words of a text (a UTF-8 file or, with -, standard input) "
    "with their universal\n"
    "part-of-speech tags as CoNLL-U; TokenRange in the last column has their "
    "bytes in the file.",
    "  longshadow pos tag data/documents/how_a_cache_forgets.txt\n"
    "  longshadow pos tag notes.txt > notes.conllu   # correct it, then "
    "probe --pos notes.conllu\n"};

constexpr char kHelp[] =
    "Universal part-of-speech tags (https://universaldependencies.org/u/pos) for English.\n\n"
    "Usage: longshadow pos train|eval|tag [options]\n\n"
    "  train   learn a treebank's tags\n"
    "  eval    compare a tagger with a treebank\n"
    "  tag     tag a text\n\n"
    "`longshadow pos train --help` and so on explain each.\n";

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::vector<ConlluSentence> read_treebank(const std::string& path) {
  const MappedFile file(path);
  return read_conllu(text_of(file), path);
}

double percent(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void add_tagger(OptionSet& options, std::string& tagger) {
  options.add("tagger", value(tagger, "English"), "weights that `longshadow pos train` wrote");
}

int train(const std::string& treebank, const std::string& output, const TrainingOptions& training) {
  if (training.epochs == 0) throw UsageError("--epochs 0: expected at least 1");
  check_output(output);
  const Perceptron perceptron =
      train_perceptron(read_treebank(treebank), training, [&](const TrainingProgress& progress) {
        std::fprintf(stderr, "perceptron %zu/%zu, epoch %zu/%zu: %.2f%% right while learning\n",
                     progress.member, training.members, progress.epoch, training.epochs,
                     100.0 * progress.right);
      });
  std::ostringstream weights;
  write_weights(weights, perceptron);
  const std::string bytes = weights.str();
  publish(output, std::as_bytes(std::span(bytes)));
  return 0;
}

int train_command(std::span<const std::string> words) {
  std::string treebank;
  std::string output;
  TrainingOptions training;
  OptionSet options(kTrainHelp);
  options.add("treebank", required(treebank), "sentences to learn from, CoNLL-U");
  options.add("output,o", required(output), "the weights to write, a new file");
  options.add("epochs", value(training.epochs), "how often each sentence is seen");
  options.add("seed", value(training.seed), "of their order");
  return options.run(words, std::cout, [&] { return train(treebank, output, training); });
}

struct EvalResult {
  Confusion confusion;
  RawTextScore raw_text;
  double load_s;
  double words_per_s;
};

struct Mistake {
  UniversalTag gold;
  UniversalTag given;
  std::size_t times;
};

/// The most frequent first.
std::vector<Mistake> worst_mistakes(const Confusion& confusion, std::size_t most) {
  std::vector<Mistake> mistakes;
  for (std::size_t gold = 0; gold < kWordTags; ++gold) {
    for (std::size_t given = 0; given < kWordTags; ++given) {
      if (gold == given || confusion.counts[gold][given] == 0) continue;
      mistakes.push_back({static_cast<UniversalTag>(gold), static_cast<UniversalTag>(given),
                          confusion.counts[gold][given]});
    }
  }
  std::stable_sort(mistakes.begin(), mistakes.end(),
                   [](const Mistake& a, const Mistake& b) { return a.times > b.times; });
  mistakes.resize(std::min(most, mistakes.size()));
  return mistakes;
}

nlohmann::json to_json(const EvalResult& result) {
  const Confusion& confusion = result.confusion;
  nlohmann::json json{{"words", confusion.words()},
                      {"accuracy_percent", percent(confusion.right(), confusion.words())},
                      {"words_per_s", result.words_per_s},
                      {"load_ms", 1e3 * result.load_s}};
  for (std::size_t gold = 0; gold < kWordTags; ++gold) {
    json["tags"].push_back(kTagNames[gold]);
    json["confusion"].push_back(confusion.counts[gold]);
  }
  const RawTextScore& raw = result.raw_text;
  if (raw.gold_words != 0) {
    json["raw_text"] = {{"words_f1_percent", 100.0 * raw.words_f1()},
                        {"tags_f1_percent", 100.0 * raw.tags_f1()}};
  }
  return json;
}

void print(const EvalResult& result) {
  const Confusion& confusion = result.confusion;
  std::printf("accuracy %.2f%% of %zu words, %.0f words/s, weights loaded in %.1f ms\n",
              percent(confusion.right(), confusion.words()), confusion.words(), result.words_per_s,
              1e3 * result.load_s);
  if (const RawTextScore& raw = result.raw_text; raw.gold_words != 0) {
    std::printf("from raw text: words F1 %.2f%%, tags F1 %.2f%%\n", 100.0 * raw.words_f1(),
                100.0 * raw.tags_f1());
  }
  std::printf("\n%-6s %8s %8s %10s\n", "tag", "words", "recall", "precision");
  for (std::size_t i = 0; i < kWordTags; ++i) {
    const auto tag = static_cast<UniversalTag>(i);
    std::printf("%-6s %8zu %7.2f%% %9.2f%%\n", std::string(name_of(tag)).c_str(),
                confusion.words(tag), percent(confusion.right(tag), confusion.words(tag)),
                percent(confusion.right(tag), confusion.given(tag)));
  }
  std::printf("\n%-6s %-8s %6s\n", "gold", "given", "times");
  for (const Mistake& mistake : worst_mistakes(confusion, 10)) {
    std::printf("%-6s %-8s %6zu\n", std::string(name_of(mistake.gold)).c_str(),
                std::string(name_of(mistake.given)).c_str(), mistake.times);
  }
}

int eval(const std::string& tagger, const std::string& treebank_path, const std::string& json) {
  const std::vector<ConlluSentence> treebank = read_treebank(treebank_path);
  EvalResult result;
  Stopwatch watch;
  const Perceptron perceptron = load_weights(locate_tagger(tagger));
  result.load_s = watch.lap();
  result.confusion = evaluate(perceptron, treebank);
  result.words_per_s = static_cast<double>(result.confusion.words()) / watch.lap();
  result.raw_text = evaluate_raw_text(perceptron, treebank);
  print(result);
  if (!json.empty()) {
    std::ofstream file(json);
    file << to_json(result).dump(2) << '\n';
    if (!file.flush()) throw Error(json + ": cannot be written");
  }
  return 0;
}

int eval_command(std::span<const std::string> words) {
  std::string tagger;
  std::string treebank;
  std::string json;
  OptionSet options(kEvalHelp);
  add_tagger(options, tagger);
  options.add("treebank", required(treebank), "sentences to compare with, CoNLL-U");
  options.add("json", value(json), "write the figures to this file");
  return options.run(words, std::cout, [&] { return eval(tagger, treebank, json); });
}

/// A form fit for a column: UTF-8 without tabs and line ends, which align_conllu takes for any
/// white space of the text.
std::string column_of(std::string_view text, Range bytes) {
  std::string form = as_utf8(text, bytes).bytes();
  std::replace_if(
      form.begin(), form.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return form;
}

int tag(const std::string& tagger, const std::string& document) {
  DocumentSource source(document);
  source.read_to(std::numeric_limits<std::size_t>::max());
  const std::string_view text = source.text();
  const std::size_t first_byte = source.mark_bytes();
  const Perceptron perceptron = load_weights(locate_tagger(tagger));
  std::size_t id = 0;
  for (const TaggedWord& word : tag_text(perceptron, text)) {
    std::cout << ++id << '\t' << column_of(text, word.bytes) << "\t_\t" << name_of(word.tag)
              << "\t_\t_\t_\t_\t_\tTokenRange=" << first_byte + word.bytes.begin << ':'
              << first_byte + word.bytes.end << '\n';
    if (!word.ends_sentence) continue;
    std::cout << '\n';
    id = 0;
  }
  return 0;
}

int tag_command(std::span<const std::string> words) {
  std::string tagger;
  std::string document;
  OptionSet options(kTagHelp);
  add_tagger(options, tagger);
  options.add("document", required(document), "a text");
  options.take_words("document", 1);
  return options.run(words, std::cout, [&] { return tag(tagger, document); });
}

}  // namespace

int pos_command(std::span<const std::string> words) {
  if (words.empty()) throw UsageError("pos: expected train, eval or tag (see --help)");
  if (words[0] == "--help" || words[0] == "-h") {
    std::cout << kHelp;
    return 0;
  }
  const auto rest = words.subspan(1);
  if (words[0] == "train") return train_command(rest);
  if (words[0] == "eval") return eval_command(rest);
  if (words[0] == "tag") return tag_command(rest);
  throw UsageError("pos: expected train, eval or tag, found \"" + words[0] + "\"");
}

}  // namespace longshadow
