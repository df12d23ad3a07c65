#include "probes/probe_options.h"

#include <ostream>

#include "engine/backend/tile_product.h"
#include "engine/core/error.h"
#include "probes/model_location.h"

namespace longshadow {

namespace po = boost::program_options;

void add_model_options(po::options_description& options) {
  auto add = options.add_options();
  add("model,m", po::value<std::string>()->default_value("smollm2"), kModelHelp);
  add("threads,t", po::value<std::size_t>()->default_value(0), "0: every core");
}

void add_method_options(po::options_description& options, const std::string& more_methods) {
  auto add = options.add_options();
  add("precision,p", po::value<std::string>()->default_value("f32"),
      "of matrix products: f32, bf16 (with --method differential), or f64 as the truth");
  const std::string methods =
      "differential: carries what an eviction changes through the layers; direct: subtracts two "
      "passes; auto: direct in f64, else differential" +
      more_methods;
  add("method", po::value<std::string>()->default_value("auto"), methods.c_str());
}

Precision parse_precision(const std::string& text, DeviceKind device, std::ostream& log) {
  if (text == "f64") return Precision::f64;
  if (text == "f32") return Precision::f32;
  if (text == "bf16") {
    if (device == DeviceKind::cuda || has_bf16_products()) return Precision::bf16;
    log << "longshadow: this processor has no bf16 products; measuring with f32 ones\n";
    return Precision::f32;
  }
  throw UsageError("--precision \"" + text + "\": expected f32, bf16 or f64");
}

Precision parse_plain_precision(const std::string& text) {
  if (text == "f32") return Precision::f32;
  if (text == "f64") return Precision::f64;
  throw UsageError("--precision \"" + text + "\": expected f32 or f64");
}

Method parse_method(const std::string& text, Precision precision) {
  if (text == "auto") return precision == Precision::f64 ? Method::direct : Method::differential;
  if (text == "differential") return Method::differential;
  if (text != "direct") {
    throw UsageError("--method \"" + text + "\": expected auto, direct or differential");
  }
  if (precision == Precision::bf16) {
    throw UsageError(
        "--method direct --precision bf16: the difference of two bf16 passes is noise a hundred "
        "times the size of an influence; use --method differential");
  }
  return Method::direct;
}

}  // namespace longshadow
