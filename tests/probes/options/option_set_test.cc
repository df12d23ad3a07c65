#include "probes/options/option_set.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/error_of.h"

namespace longshadow {
namespace {

using Catch::Contains;
using nlohmann::json;
using test::error_of;

enum class Colour { red, green };

struct Length {
  std::size_t metres = 0;
};

Length parse_length(const std::string& text) {
  if (text.empty() || text.back() != 'm') throw UsageError("expected metres, as in 3m");
  return {std::stoul(text)};
}

/// A command's options, one of each kind.
struct Command {
  std::size_t count = 7;
  std::string name = "x";
  std::optional<double> share;
  bool is_loud = false;
  Words words{"auto"};
  Length length;
  double half = 0;
  Colour colour{};
  std::string file;
  bool is_grand = false;
  OptionSet options{{"test", "Tests.", "  test\n"}};

  Command() {
    options.add("count,c", value(count), "how many").decides("count");
    options.add("name", value(name, "none"), "of it").leaves_no_trace();
    options.add("some-share", value(share), "of it").leaves_no_trace();
    options.add("loud", flag(is_loud), "shout").decides_if_given("voice/loud");
    options.add("words", list(words, "auto"), "several").decides("words");
    options.add("length,l", parsed(length, parse_length, "3m"), "how long").decides("length");
    options
        .add("half",
             parsed(
                 half, [](const std::string& text) { return std::stod(text) / 2; }, "1"),
             "twice the number")
        .decides("half");
    options
        .add("colour", choice<Colour>(colour, {{"red", Colour::red}, {"green", Colour::green}}),
             "of it")
        .decides("voice/colour");
    options.add("file", value(file), "a path").leads_to("file_sha256");
    options.add("grand", flag(is_grand), "only if loud")
        .decides("grand")
        .only({[this] { return is_loud; }, "is for --loud"});
  }

  int run(
      const std::vector<std::string>& words_given,
      const std::function<int()>& body = [] { return 5; }) {
    std::ostringstream out;
    const int status = options.run(words_given, out, body);
    help = out.str();
    return status;
  }

  std::string help;
};

TEST_CASE("Options have their defaults, and what is given") {
  Command plain;
  CHECK(plain.run({}) == 5);
  CHECK(plain.count == 7);
  CHECK_FALSE(plain.share);
  CHECK(plain.words == Words{"auto"});
  CHECK(plain.length.metres == 3);
  CHECK(plain.half == 0.5);
  CHECK(plain.colour == Colour::red);
  CHECK_FALSE(plain.options.given("count"));
  CHECK_FALSE(plain.options.given("some-share"));

  Command given;
  given.run({"-c", "7", "--some-share", "0.25", "--loud", "--words", "a", "b", "--length=12m",
             "--colour", "green", "--grand"});
  CHECK(given.share == 0.25);
  CHECK(given.words == Words{"a", "b"});
  CHECK(given.length.metres == 12);
  CHECK(given.colour == Colour::green);
  CHECK(given.options.given("count"));
  CHECK(given.options.given("some-share"));
}

TEST_CASE("The help shows every option with its default, and nothing is run") {
  Command command;
  CHECK(command.run({"--help"}, [] { return 5; }) == 0);
  CHECK_THAT(command.help, Contains("Usage: longshadow test") &&
                               Contains("-c [ --count ] arg (=7)") &&
                               Contains("--name arg (=none)") && Contains("--length") &&
                               Contains("(=3m)") && Contains("--colour arg (=red)"));
}

TEST_CASE("What an option refuses names it, and once") {
  const auto refusal = [](const std::vector<std::string>& words) {
    return error_of([&] { Command().run(words); });
  };
  CHECK(refusal({"--length", "3"}) == "--length \"3\": expected metres, as in 3m");
  CHECK(refusal({"--colour", "blue"}) == "--colour \"blue\": expected red or green");
  CHECK(refusal({"--grand"}) == "--grand is for --loud");
  CHECK(refusal({"-c", "-1"}) == "--count: expected no negative number, found -1");
  CHECK_THAT(refusal({"-c", "x"}), Contains("--count") && Contains("--help"));
  CHECK_THAT(refusal({"--size", "3"}), Contains("--size") && Contains("--help"));
  CHECK_THROWS_AS(Command().run({"--length", "3"}), UsageError);
}

TEST_CASE("The library's parameters become options in messages") {
  const auto told = [](const std::string& message) {
    return error_of([&] { Command().run({}, [&]() -> int { throw Error(message); }); });
  };
  CHECK(told("`count` 3: a smaller `some_share`") == "--count 3: a smaller --some-share");
  CHECK(told("with `voice/colour` 1, `words/0` or `file_sha256`") ==
        "with --colour 1, --words or --file");
  CHECK(told("`longshadow test` and `some` `count") == "`longshadow test` and `some` `count");
  Command command;
  CHECK_THROWS_AS(command.run({}, []() -> int { throw UsageError("`count`"); }), UsageError);
}

TEST_CASE("A run's configuration is what the declarations say") {
  const auto configuration = [](const std::vector<std::string>& words, const json& found) {
    Command command;
    json made;
    command.run(words, [&] {
      made = command.options.configuration(found);
      return 0;
    });
    return made;
  };
  const json found{{"file_sha256", "00"}, {"command", "test"}};
  const json plain{{"command", "test"},  {"count", 7},  {"words", {"auto"}},
                   {"length", "3m"},     {"half", 0.5}, {"voice", {{"colour", "red"}}},
                   {"file_sha256", "00"}};
  CHECK(configuration({}, found) == plain);
  CHECK(configuration({"--name", "y", "--some-share", "1"}, found) == plain);
  json loud = plain;
  loud["voice"]["loud"] = true;
  loud["grand"] = false;
  CHECK(configuration({"--loud"}, found) == loud);
  CHECK_THAT(error_of([&] {
               configuration({}, {{"command", "test"}});
             }),
             Contains("--file") && Contains("leads to"));
}

TEST_CASE("An option that says nothing of the configuration makes none") {
  Command command;
  std::size_t forgotten = 0;
  command.options.add("forgotten", value(forgotten), "which nobody thought of");
  CHECK(command.run({"--forgotten", "3"}) == 5);
  CHECK_THAT(error_of([&] {
               command.options.configuration({{"file_sha256", "00"}});
             }),
             Contains("--forgotten"));
}

}  // namespace
}  // namespace longshadow
