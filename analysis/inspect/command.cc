#include "analysis/inspect/command.h"

#include <boost/program_options.hpp>
#include <span>
#include <stdexcept>

#include "analysis/inspect/page.h"
#include "analysis/runs/run_directory.h"
#include "analysis/runs/run_reader.h"
#include "data/format/publish.h"

namespace longshadow {

namespace po = boost::program_options;

int inspect_command(const std::vector<std::string>& words, std::ostream& out) {
  std::string run;
  std::string output;
  po::options_description description("longshadow inspect RUN.h5 -o PAGE.html");
  auto add = description.add_options();
  add("help,h", "print this");
  add("run", po::value(&run), "the run file, or a run directory as far as it is measured");
  add("output,o", po::value(&output),
      "the page to write: one new HTML file that any browser opens, without a network");
  po::positional_options_description positional;
  positional.add("run", 1);
  po::variables_map parsed;
  po::store(po::command_line_parser(words).options(description).positional(positional).run(),
            parsed);
  po::notify(parsed);
  if (parsed.count("help")) {
    out << description;
    return 0;
  }
  if (run.empty()) throw std::invalid_argument("inspect: expected a run file, found none");
  if (output.empty()) throw std::invalid_argument("inspect: expected -o PAGE.html, found none");
  check_output(output);
  const std::string share = measured_share_of(run);
  const std::string page = render_page(read_run(run));
  publish(output, std::as_bytes(std::span(page)));
  out << share << output << ": " << (page.size() + 512) / 1024 << " KiB\n";
  return 0;
}

}  // namespace longshadow
