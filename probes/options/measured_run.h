#pragma once

#include <cstddef>
#include <memory>
#include <ostream>

#include "probes/measure/probe_model.h"
#include "probes/options/model_options.h"
#include "probes/options/run_options.h"
#include "probes/options/run_output.h"
#include "probes/runs/measurement.h"

namespace longshadow {

/// A run that a command measures, with all that it takes.
struct MeasuredRun {
  CommandDevice& device;
  const Checkpoint& checkpoint;
  const RunTexts& texts;
  const RunPlan& plan;
  Precision precision;
  bool with_gradients;  ///< whether the model is loaded with what gradients need
  ProgressStyle progress;
};

/// Measures what is missing of the run and puts it where `output` goes; begin(device, model, d,
/// store) gives the Measurement of document d. A dry run ends with the plan on `out`. Says on `log`
/// how far it is. Throws Interrupted, and what `begin` throws.
template <class Begin>
void measure(const MeasuredRun& run, const RunOutput& output, std::ostream& out, std::ostream& log,
             const Begin& begin) {
  if (output.ends_with_plan(run.plan, out)) return;
  if (output.is_whole(run.plan.run.configuration_hash, run.progress, log)) return;
  const RunStore store = output.open(run.plan, run.progress, log);
  if (store.has_work()) {
    Device& device = run.device.get();
    const ProbeModel model =
        load_probe_model(device, run.checkpoint, run.precision, run.with_gradients);
    const std::vector<Document>& documents = run.texts.documents;
    for (std::size_t d = 0; d < documents.size(); ++d) {
      if (!store.has_work(d)) continue;
      if (documents.size() > 1 && run.progress != ProgressStyle::none) {
        log << documents[d].name << '\n';
      }
      const std::unique_ptr<Measurement> measurement = begin(device, model, d, store);
      store.measure(d, *measurement, run.texts.tags[d], run.progress, log);
    }
  }
  output.finish(store, run.progress, log);
}

}  // namespace longshadow
