#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#include <iostream>

#include "tests/support/skip.h"

namespace longshadow::test {
namespace {

bool has_skipped = false;

}  // namespace

void skip(const std::string& reason) {
  has_skipped = true;
  std::cout << "skipped: " << reason << std::endl;  // tests/support/list_skips.py reads it
}

}  // namespace longshadow::test

int main(int argc, char** argv) {
  using namespace longshadow::test;
  const int failures = Catch::Session().run(argc, argv);
  if (failures == kSkipped) return 1;  // so many failures, or so many tests listed
  return failures == 0 && has_skipped ? kSkipped : failures;
}
