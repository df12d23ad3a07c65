#pragma once

#include <string>

namespace longshadow::test {

/// Says why the test case, or a part of it, cannot run here; the test case returns from it. The
/// program then ends with kSkipped, which ctest counts as a skip, unless something failed: a
/// failure is one whatever else was skipped.
void skip(const std::string& reason);

inline constexpr int kSkipped = 77;

}  // namespace longshadow::test
