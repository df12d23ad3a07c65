#pragma once

#include <iosfwd>

#include "engine/backend/device_kind.h"
#include "probes/cost/memory_plan.h"

namespace longshadow {

class OptionSet;

/// Values of --method. A sketch and a screen are probe's alone.
enum class MethodChoice { automatic, direct, differential, sketch, screen };

/// How a command that runs counterfactuals computes them.
struct MethodOptions {
  Precision precision = Precision::f32;
  MethodChoice method = MethodChoice::automatic;

  /// Adds --precision and --method.
  void declare(OptionSet& options);
  /// Adds them with the methods sketch and screen too.
  void declare_with_sketches(OptionSet& options);

  /// Replaces bf16 by f32, which is more exact and no slower, on a processor without bf16 products,
  /// which all GPUs have, and says so on `log`.
  void settle_precision(DeviceKind device, std::ostream& log);
  /// The method of counterfactuals; for sketches the differential one, whose tape they read. Throws
  /// UsageError for the direct one in bf16.
  Method settled_method() const;
};

/// Adds --precision to a command without bf16 products.
void declare_plain_precision(OptionSet& options, Precision& precision);

}  // namespace longshadow
