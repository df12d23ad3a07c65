#include "analysis/command.h"

#include <boost/program_options/errors.hpp>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "data/format/error.h"
#include "data/format/run_writer.h"
#include "tests/support/synthetic_run.h"
#include "tests/support/temporary_folder.h"

using namespace longshadow;
using Catch::Matchers::Contains;
using test::TemporaryFolder;

TEST_CASE("analyze prints tables and writes JSON once") {
  const TemporaryFolder folder;
  const std::string run = folder.path() / "run.h5";
  const std::string json = folder.path() / "report.json";
  write_run(run, test::synthetic_run());
  std::ostringstream out;
  CHECK(analyze_command({run, "--json", json, "--bins", "0:20,20:1000", "--top", "0.5"}, out) == 0);
  CHECK_THAT(out.str(), Contains("distance 17-19") && Contains("distance 20-80"));
  std::ifstream file(json);
  const auto parsed = nlohmann::json::parse(file);
  CHECK(parsed["options"]["bins"] == nlohmann::json::parse("[[17, 20], [20, 81]]"));
  CHECK(parsed["options"]["top_share"] == 0.5);
  CHECK_THROWS_WITH(analyze_command({run, "--json", json}, out), Contains("the name is taken"));
  CHECK_THROWS_WITH(analyze_command({run, "--csv", json}, out), Contains("the name is taken"));
}

TEST_CASE("analyze pools run files and writes a table") {
  const TemporaryFolder folder;
  RunFile one = test::synthetic_run();
  RunFile other = test::synthetic_run({.seed = 2});
  other.documents[0].source_sha256 = std::string(64, '3');
  other.documents[0].name = "another";
  write_run(folder.path() / "one.h5", one);
  write_run(folder.path() / "other.h5", other);
  const std::string csv = folder.path() / "report.csv";
  std::ostringstream out;
  CHECK(analyze_command({folder.path() / "one.h5", folder.path() / "other.h5", "--csv", csv},
                        out) == 0);
  CHECK_THAT(out.str(),
             Contains("document_1") && Contains("another") && Contains("all 2 documents"));
  std::ifstream file(csv);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  CHECK_THAT(text, Contains("\"another\",groups") && Contains("\"all 2 documents\",claims"));
}

TEST_CASE("analyze refuses arguments that mean nothing") {
  const TemporaryFolder folder;
  const std::string run = folder.path() / "run.h5";
  write_run(run, test::synthetic_run());
  std::ostringstream out;
  CHECK_THROWS_AS(analyze_command({}, out), std::invalid_argument);
  CHECK_THROWS_AS(analyze_command({run, "--flag"}, out), boost::program_options::error);
  CHECK_THROWS_WITH(analyze_command({run, run}, out), Contains("both have the text of document_1"));
  for (const char* bins : {"16", "16:", ":16", "16:16", "20:10", "-1:4", "a:b", "0:16,,16:32",
                           "0:99999999999999999999"}) {
    CHECK_THROWS_WITH(analyze_command({run, "--bins", bins}, out), Contains("--bins"));
  }
  for (const char* chunks : {"0", "-128", "a", "128x", "0:128", "99999999999999999999"}) {
    CHECK_THROWS_WITH(analyze_command({run, "--chunks", chunks}, out), Contains("--chunks"));
  }
  CHECK_THROWS_WITH(analyze_command({run, "--chunks", "128"}, out),
                    Contains("removed as a set, found none"));
  CHECK_THROWS_WITH(analyze_command({run, "--top", "0"}, out), Contains("--top"));
  CHECK_THROWS_WITH(analyze_command({run, "--sinks", "-1"}, out), Contains("--sinks"));
  CHECK_THROWS_WITH(analyze_command({run, "--bootstrap", "0"}, out), Contains("--bootstrap"));
  CHECK_THROWS_AS(analyze_command({"missing.h5"}, out), FormatError);
  CHECK(out.str().empty());
}

TEST_CASE("analyze --help explains itself") {
  std::ostringstream out;
  CHECK(analyze_command({"--help"}, out) == 0);
  CHECK_THAT(out.str(), Contains("--bins") && Contains("--json"));
}
