#include "analysis/inspect/page.h"

#include <cstddef>
#include <string_view>
#include <vector>

#include "analysis/inspect/page_data.h"
#include "analysis/inspect/page_template.h"
#include "analysis/inspect/report_data.h"
#include "analysis/results/analyze.h"
#include "analysis/statistics/measurements.h"

namespace longshadow {

namespace {

/// Bytes of a document's data; the page around them is well under the 300,000 left of 5 MB.
constexpr std::size_t kLargestDocument = 4'700'000;

/// The details that a page may have, from the finest to the coarsest.
constexpr PageDetail kDetails[] = {
    {.kv_heads = true, .layer_bits = 16, .curve_bits = 16},
    {.kv_heads = true, .layer_bits = 8, .curve_bits = 16},
    {.kv_heads = false, .layer_bits = 8, .curve_bits = 16},
    {.kv_heads = false, .layer_bits = 8, .curve_bits = 8},
};

std::string script(std::string_view id, std::string_view json) {
  std::string element = "<script type=\"application/json\" id=\"";
  element += id;
  element += "\">";
  element += json;
  element += "</script>\n";
  return element;
}

/// The document with the finest detail that fits, or with the coarsest.
std::string fitting_json(const DocumentRun& document, const RunModel& model,
                         const std::vector<DistanceBin>& bins) {
  std::string json;
  for (const PageDetail& detail : kDetails) {
    json = document_json(document, model, bins, detail);
    if (json.size() <= kLargestDocument) break;
  }
  return json;
}

}  // namespace

std::string render_page(const RunFile& run) {
  const Analysis analysis = analyze(run, {});
  const std::size_t mark = kPageTemplate.find(kPageDataMark);
  std::string page(kPageTemplate.substr(0, mark));
  page += script("run", run_json(run));
  page += script("report-data", report_json(make_report(analysis)));
  for (std::size_t i = 0; i < run.documents.size(); ++i) {
    page += script("document-" + std::to_string(i),
                   fitting_json(run.documents[i], run.model, analysis.options.bins));
  }
  page += kPageTemplate.substr(mark + kPageDataMark.size());
  return page;
}

}  // namespace longshadow
