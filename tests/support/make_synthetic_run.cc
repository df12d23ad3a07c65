// make_synthetic_run RUN.h5 [documents [subjects [lag [sets [sketch] [retention] [sentences]]]]]: a
// made-up run file for the Python tests; no subjects: a sketch or a retention alone.

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string_view>

#include "data/format/run_writer.h"
#include "tests/support/synthetic_run.h"

int main(int argc, char** argv) {
  longshadow::test::SyntheticOptions options;
  if (argc > 2) options.n_documents = std::strtoul(argv[2], nullptr, 10);
  if (argc > 3) options.n_subjects = std::strtoul(argv[3], nullptr, 10);
  if (argc > 4) options.lag = std::strtol(argv[4], nullptr, 10);
  if (argc > 5) options.n_sets = std::strtoul(argv[5], nullptr, 10);
  for (int i = 6; i < argc; ++i) {
    const std::string_view part = argv[i];
    if (part == "sketch") options.has_sketch = true;
    if (part == "retention") options.has_retention = true;
    if (part == "sentences") options.has_sentences = true;
  }
  const bool alone = options.n_subjects == 0;
  if (alone) options.n_subjects = 1;
  try {
    longshadow::RunFile run = synthetic_run(options);
    for (longshadow::DocumentRun& document : run.documents) {
      if (alone) document.influence = {};
    }
    longshadow::write_run(argc > 1 ? argv[1] : "synthetic.h5", run);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
