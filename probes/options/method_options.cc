#include "probes/options/method_options.h"

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/backend/tile_product.h"
#include "engine/core/error.h"
#include "probes/options/option_set.h"

namespace longshadow {
namespace {

using Methods = std::vector<std::pair<std::string, MethodChoice>>;

Methods methods_of_counterfactuals() {
  return {{"auto", MethodChoice::automatic},
          {"direct", MethodChoice::direct},
          {"differential", MethodChoice::differential}};
}

constexpr const char* kMethodHelp =
    "differential: carries what an eviction changes through the layers; direct: subtracts two "
    "passes; auto: direct in f64, else differential";

void add(OptionSet& options, MethodOptions& target, const Methods& methods,
         const std::string& more_help) {
  options
      .add("precision,p",
           choice_by_name(target.precision, {Precision::f32, Precision::bf16, Precision::f64}),
           "of matrix products: f32, bf16 (with --method differential), or f64 as the truth")
      .leads_to("precision");
  options.add("method", choice(target.method, methods), kMethodHelp + more_help).decides("method");
}

}  // namespace

void MethodOptions::declare(OptionSet& options) {
  add(options, *this, methods_of_counterfactuals(), "");
}

void MethodOptions::declare_with_sketches(OptionSet& options) {
  Methods methods = methods_of_counterfactuals();
  methods.emplace_back("sketch", MethodChoice::sketch);
  methods.emplace_back("screen", MethodChoice::screen);
  add(options, *this, methods,
      "; sketch: estimates every token's influence at once from gradients; screen: "
      "a sketch, then the most influential tokens and a control sample one by one");
}

void MethodOptions::settle_precision(DeviceKind device, std::ostream& log) {
  if (precision != Precision::bf16 || device == DeviceKind::cuda || has_bf16_products()) return;
  log << "longshadow: this processor has no bf16 products; measuring with f32 ones\n";
  precision = Precision::f32;
}

Method MethodOptions::settled_method() const {
  if (method == MethodChoice::automatic) {
    return precision == Precision::f64 ? Method::direct : Method::differential;
  }
  if (method != MethodChoice::direct) return Method::differential;
  if (precision == Precision::bf16) {
    throw UsageError(
        "--method direct --precision bf16: the difference of two bf16 passes is noise a hundred "
        "times the size of an influence; use --method differential");
  }
  return Method::direct;
}

void declare_plain_precision(OptionSet& options, Precision& precision) {
  options
      .add("precision", choice_by_name(precision, {Precision::f32, Precision::f64}),
           "f32, or f64 as the truth")
      .decides("precision");
}

}  // namespace longshadow
