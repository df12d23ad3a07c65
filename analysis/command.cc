#include "analysis/command.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cstdint>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "analysis/report/report.h"
#include "analysis/runs/run_directory.h"
#include "analysis/runs/run_pool.h"
#include "analysis/runs/run_reader.h"
#include "data/format/publish.h"
#include "engine/text/utf8.h"

namespace longshadow {

namespace {

namespace po = boost::program_options;

/// Reads the whole of `text` as a number that is not negative, else -1.
std::int64_t parse_count(std::string_view text) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : -1;
}

/// Reads bins: "0:16,16:64".
std::vector<DistanceBin> parse_bins(std::string_view text) {
  std::vector<DistanceBin> bins;
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    const std::size_t colon = item.find(':');
    const DistanceBin bin = colon == item.npos ? DistanceBin{-1, -1}
                                               : DistanceBin{parse_count(item.substr(0, colon)),
                                                             parse_count(item.substr(colon + 1))};
    if (bin.begin < 0 || bin.begin >= bin.end) {
      throw std::invalid_argument("--bins: expected BEGIN:END,... with BEGIN < END, found '" +
                                  std::string(item) + "'");
    }
    bins.push_back(bin);
    text.remove_prefix(std::min(text.size(), item.size() + 1));
  }
  return bins;
}

/// Reads a number of positions: "128". Nothing is 0.
std::int64_t parse_chunk(std::string_view text) {
  if (text.empty()) return 0;
  const std::int64_t chunk = parse_count(text);
  if (chunk < 1) {
    throw std::invalid_argument("--chunks: expected a number of positions above 0, found '" +
                                std::string(text) + "'");
  }
  return chunk;
}

struct Arguments {
  std::vector<std::string> runs;
  std::string json;
  std::string csv;
  std::string bins;
  std::string chunks;
  AnalyzeOptions options;
};

po::options_description describe(Arguments& arguments) {
  po::options_description description("longshadow analyze RUN.h5... [options]");
  AnalyzeOptions& options = arguments.options;
  auto add = description.add_options();
  add("help,h", "print this");
  add("run", po::value(&arguments.runs),
      "run files, or run directories as far as they are measured; several are pooled where they "
      "are of one model under the same conditions");
  add("json", po::value(&arguments.json), "write the tables to this new file");
  add("csv", po::value(&arguments.csv),
      "write the tables to this new file, a line for each number; data/FORMAT.md describes both");
  add("bins", po::value(&arguments.bins),
      "distance bins BEGIN:END,...; END is outside (default: doubling from 16)");
  add("chunks", po::value(&arguments.chunks),
      "positions in a bin of what removed sets do after the start (default: doubling from 16)");
  add("top", po::value(&options.sample.top_share)->default_value(options.sample.top_share, "0.2"),
      "share of the subjects in a top group");
  add("sinks", po::value(&options.sample.n_sinks)->default_value(options.sample.n_sinks),
      "first tokens that are kept apart");
  add("bootstrap", po::value(&options.bootstrap.replicates)->default_value(1000),
      "draws of the bootstrap");
  add("seed", po::value(&options.bootstrap.seed)->default_value(1), "seed of the bootstrap");
  return description;
}

void check(const Arguments& arguments) {
  const AnalyzeOptions& options = arguments.options;
  if (arguments.runs.empty())
    throw std::invalid_argument("analyze: expected a run file, found none");
  if (!(options.sample.top_share > 0 && options.sample.top_share <= 1)) {
    throw std::invalid_argument("--top: expected a share above 0 and at most 1");
  }
  if (options.sample.n_sinks < 0) throw std::invalid_argument("--sinks: expected 0 or more");
  if (options.bootstrap.replicates < 1) {
    throw std::invalid_argument("--bootstrap: expected 1 or more");
  }
}

RunFile read_runs(const std::vector<std::string>& paths) {
  std::vector<NamedRun> runs;
  for (const std::string& path : paths) runs.push_back({path, read_run(path)});
  return pool_runs(std::move(runs));
}

void write_text(const std::string& path, const std::string& text) {
  publish(path, std::as_bytes(std::span(text)));
}

}  // namespace

int analyze_command(const std::vector<std::string>& words, std::ostream& out) {
  Arguments arguments;
  const po::options_description description = describe(arguments);
  po::positional_options_description positional;
  positional.add("run", -1);
  po::variables_map parsed;
  po::store(po::command_line_parser(words).options(description).positional(positional).run(),
            parsed);
  po::notify(parsed);
  if (parsed.count("help")) {
    out << description;
    return 0;
  }
  check(arguments);
  arguments.options.bins = parse_bins(arguments.bins);
  arguments.options.chunk = parse_chunk(arguments.chunks);
  for (const std::string& output : {arguments.json, arguments.csv}) {
    if (!output.empty()) check_output(output);
  }

  std::ostringstream text;
  for (const std::string& run : arguments.runs) text << measured_share_of(run);
  const Report report = make_report(analyze(read_runs(arguments.runs), arguments.options));
  print_text(text, report);
  out << terminal_text(text.str());  // a run file's names may be a stranger's
  if (!arguments.json.empty()) write_text(arguments.json, to_json(report));
  if (!arguments.csv.empty()) write_text(arguments.csv, to_csv(report));
  return 0;
}

}  // namespace longshadow
