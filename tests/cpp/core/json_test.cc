#include "core/json.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "core/philox.h"
#include "support/status_testing.h"

namespace eisbach::json_test {
namespace {

using test::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

std::string Nested(size_t depth, char open, char close) {
  return std::string(depth, open) + std::string(depth, close);
}

TEST(ReadJsonTest, ReadsEveryKindOfValue) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const nlohmann::json value,
      ReadJson(R"( {"b":[1,-2.5,true,null,"x\"[{"],"a":{}} )", "it"));
  EXPECT_EQ(value["b"].size(), 5u);
  EXPECT_EQ(value["b"][4], "x\"[{");
  EXPECT_TRUE(value["a"].is_object());
}

TEST(ReadJsonTest, OtherTextIsAnError) {
  for (absl::string_view text :
       {"", "{", "[1,]", "{}x", "{} {}", "\"\\", "{\"a\":1e999999}",
        "{\"\xff\":1}", "nul", "[\"\x01\"]"}) {
    EXPECT_THAT(ReadJson(text, "it"),
                StatusIs(kInvalid, "it is not valid JSON"))
        << text;
  }
  EXPECT_THAT(ReadJson(absl::string_view("{}\0{", 4), "it"),
              StatusIs(kInvalid, "it is not valid JSON"));
}

TEST(ReadJsonTest, AKeyOfAnObjectIsThereOnce) {
  EXPECT_THAT(ReadJson(R"({"a":1,"b":{"a":1},"a":2})", "it"),
              StatusIs(kInvalid, "it names \"a\" twice"));
  EXPECT_THAT(ReadJson(R"({"":1,"":2})", "it"),
              StatusIs(kInvalid, "it names \"\" twice"));
}

TEST(ReadJsonTest, DepthIsBounded) {
  const JsonLimits limits{.depth = 5, .values = 1000};
  EISBACH_EXPECT_OK(ReadJson(Nested(5, '[', ']'), "it", limits));
  EXPECT_THAT(ReadJson(Nested(6, '[', ']'), "it", limits),
              StatusIs(kInvalid, "it is nested more than 5 deep at byte 5"));
  // Side by side is not deep; brackets in text are none.
  EISBACH_EXPECT_OK(
      ReadJson("[[[]],[[]],[[[]]],\"[[[[[[\\\"[[[\"]", "it", limits));
  // What made the stack overflow.
  EXPECT_THAT(ReadJson(Nested(200000, '[', ']'), "it"),
              StatusIs(kInvalid, "deep at byte 64"));
  EXPECT_THAT(ReadJson(std::string(10'000'000, '['), "it"),
              StatusIs(kInvalid, "deep at byte 64"));
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  EXPECT_THAT(ReadJson(objects, "it"), StatusIs(kInvalid, "deep"));
}

TEST(ReadJsonTest, NumberOfValuesIsBounded) {
  const JsonLimits limits{.depth = 5, .values = 10};
  EISBACH_EXPECT_OK(ReadJson("[1,2,3,4,5,6,7,8,9]", "it", limits));
  EXPECT_THAT(ReadJson("[1,2,3,4,5,6,7,8,9,10]", "it", limits),
              StatusIs(kInvalid, "it has more than 10 values at byte 18"));
  EXPECT_THAT(ReadJson("[[],[],[],[],[],[]]", "it", limits),
              StatusIs(kInvalid, "it has more than 10 values"));
}

// Any text of the characters that matter is an error or a value that is within
// the limits and can be spelled again.
TEST(ReadJsonTest, RandomTextIsReadOrRefused) {
  constexpr char kAlphabet[] = "[]{},:\"\\ 01-.eatrufls\xff";
  const JsonLimits limits{.depth = 4, .values = 20};
  int read = 0;
  for (uint32_t i = 0; i < 50000; ++i) {
    std::string text;
    const PhiloxCounter length = Philox({i, 1}, MakePhiloxKey(5));
    for (uint32_t k = 0; k < length[0] % 24; ++k) {
      const PhiloxCounter bits = Philox({i, 2, k}, MakePhiloxKey(5));
      // Half of them begin like JSON.
      text += kAlphabet[bits[0] %
                        (length[1] % 2 == 0 ? 8 : std::size(kAlphabet) - 1)];
    }
    const auto value = ReadJson(text, "it", limits);
    if (!value.ok()) continue;
    ++read;
    EISBACH_EXPECT_OK(ReadJson(value->dump(), "it", limits)) << text;
  }
  EXPECT_GT(read, 20);
}

}  // namespace
}  // namespace eisbach::json_test
