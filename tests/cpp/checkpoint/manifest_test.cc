#include "checkpoint/manifest.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "core/philox.h"
#include "support/status_testing.h"

namespace eisbach::checkpoint::manifest_test {
namespace {

using test::StatusIs;
using test::Value;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

Manifest Example() {
  Manifest manifest{.step = 123,
                    .layout = {{2, 4, 1, 1}},
                    .optimizer_state = {"m", "v"},
                    .config = R"({"model":{"family":"gpt","heads":8}})",
                    .state = R"({"tokens":4096})",
                    .loss_scale = optim::LossScale{1024, 17},
                    .files = {}};
  manifest.parent = ManifestId{100, 0xabcdef0123456789u};
  manifest.files = {{"a.safetensors", 0, 0, 0, 10, 0xfedcba9876543210u},
                    {"b.safetensors", 1, 0, 0, 20, 7},
                    {"c.safetensors", 1, 0, 1, 30, 8}};
  return manifest;
}

TEST(Manifest, ReadsWhatItWrote) {
  const std::string text = Value(FormatManifest(Example()));
  EISBACH_ASSERT_OK_AND_ASSIGN(const Manifest back, ParseManifest(text));
  EXPECT_EQ(back.step, 123);
  EXPECT_EQ(back.layout, Example().layout);
  EXPECT_EQ(back.optimizer_state, Example().optimizer_state);
  EXPECT_EQ(back.config, Example().config);
  EXPECT_EQ(back.state, Example().state);
  ASSERT_TRUE(back.loss_scale.has_value());
  EXPECT_EQ(back.loss_scale->scale, 1024);
  EXPECT_EQ(back.loss_scale->good_steps, 17);
  EXPECT_EQ(back.parent, Example().parent);
  EXPECT_FALSE(back.version.empty());
  EXPECT_EQ(back.id(), Value(ParseManifest(text)).id());
  ASSERT_EQ(back.files.size(), 3);
  EXPECT_EQ(back.files[0].name, "a.safetensors");
  EXPECT_EQ(back.files[0].hash, 0xfedcba9876543210u);
  EXPECT_EQ(back.files[1].pipeline, 1);
  EXPECT_EQ(back.files[1].bytes, 20);
  EXPECT_EQ(back.files[2].data, 1);
}

TEST(Manifest, KeepsWhatTheNextStepIsJudgedBy) {
  Manifest manifest = Example();
  EXPECT_EQ(Value(FormatManifest(manifest)).find("history"), std::string::npos);
  const double third = 1.0 / 3;
  manifest.history = optim::SpikeHistory{.losses = {third, 3},
                                         .norms = {1e-300, 0.1},
                                         .in_a_row = 1,
                                         .skipped = int64_t{1} << 53};
  const std::string text = Value(FormatManifest(manifest));
  EXPECT_EQ(Value(ParseManifest(text)).history, manifest.history);
  manifest.history->norms = {1};
  EXPECT_THAT(ParseManifest(Value(FormatManifest(manifest))),
              StatusIs(kInvalid, "history has 2 losses and 1 norms"));
  manifest.history = optim::SpikeHistory{.in_a_row = -1};
  EXPECT_THAT(ParseManifest(Value(FormatManifest(manifest))),
              StatusIs(kInvalid, "history.in_a_row=-1"));
}

TEST(Manifest, NeedsNoLossScale) {
  Manifest manifest = Example();
  manifest.loss_scale = std::nullopt;
  const std::string text = Value(FormatManifest(manifest));
  EXPECT_EQ(text.find("loss_scale"), std::string::npos);
  EXPECT_FALSE(Value(ParseManifest(text)).loss_scale.has_value());
}

TEST(Manifest, RefusesConfigThatIsNoObject) {
  Manifest manifest = Example();
  manifest.config = "[1]";
  EXPECT_THAT(FormatManifest(manifest), StatusIs(kInvalid, "config"));
  manifest = Example();
  manifest.state = "{";
  EXPECT_THAT(FormatManifest(manifest), StatusIs(kInvalid, "state"));
}

TEST(Manifest, SaysWhatIsWrong) {
  const std::string text = Value(FormatManifest(Example()));
  const struct {
    const char* from;
    const char* to;
    const char* error;
  } kCases[] = {
      {"\"step\": 123", "\"step\": -1", "manifest.step=-1"},
      {"\"step\": 123", "\"step\": 1.5", "manifest.step=1.5"},
      {"\"step\": 123", "\"steps\": 123", "manifest has no step"},
      {"\"version\": 3", "\"version\": 4", "version 4 is not"},
      {"\"version\": 3", "\"version\": 2", "version 2 is of an earlier"},
      {"\"version\": 3", "\"version\": 0", "version 0 is not"},
      {"eisbach.checkpoint", "other", "format \"other\""},
      {"\"tensor\": 1", "\"tensor\": 0", "layout.tensor=0"},
      {"\"tensor\": 1", "\"tensor\": 4294967297", "layout.tensor=4294967297"},
      {"\"tensor\": 1", "\"tensor\": 2",
       "lists files of 2 ranks of the model, the layout has 4"},
      {"b.safetensors", "a.safetensors", "a.safetensors is listed twice"},
      {"\"data\": 1,\n      \"name\"", "\"data\": 2,\n      \"name\"",
       "lists 2 of 3 or more files of pipeline 1, tensor 0"},
      {"\"data\": 1,\n      \"name\"", "\"data\": 4,\n      \"name\"",
       "pipeline 1, tensor 0 and data 4, outside the layout"},
      {"\"data\": 1,\n      \"name\"", "\"data\": 0,\n      \"name\"",
       "c.safetensors is listed twice"},
      {"\"step\": 100", "\"step\": -100", "parent.step=-100"},
      {"abcdef0123456789", "abcdef", "of parent is not 16"},
      {"b.safetensors", "../b", "no plain file name"},
      {"b.safetensors", "x/b", "no plain file name"},
      {"\"bytes\": 20", "\"bytes\": -20", "files[].bytes=-20"},
      {"0000000000000007", "7", "16 hexadecimal digits"},
      {"0000000000000007", "000000000000000g", "16 hexadecimal digits"},
      {"\"m\"", "5", "optimizer_state"},
      {"\"step\": 123,", "\"step\": 123, \"step\": 124,",
       "names \"step\" twice"},
      {"\"scale\": 1024.0", "\"scale\": 1e39", "loss_scale.scale=1e+39"},
      {"\"scale\": 1024.0", "\"scale\": 0.5", "loss_scale.scale=0.5"},
      {"\"scale\": 1024.0", "\"scale\": \"x\"", "loss_scale.scale"},
      {"\"good_steps\": 17", "\"good_steps\": -1", "good_steps=-1"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(ParseManifest(absl::StrReplaceAll(text, {{c.from, c.to}})),
                StatusIs(kInvalid, c.error))
        << c.from << " -> " << c.to;
  }
}

// What is plausible by itself is found by the hash of the whole.
TEST(Manifest, NothingCanBeChanged) {
  const std::string text = Value(FormatManifest(Example()));
  for (const auto& [from, to] :
       std::vector<std::pair<const char*, const char*>>{
           {"\"step\": 123", "\"step\": 124"},
           {"\"tokens\": 4096", "\"tokens\": 4097"},
           {"\"heads\": 8", "\"heads\": 16"},
           {"\"good_steps\": 17", "\"good_steps\": 18"},
           {"\"good_steps\": 17", "\"good_steps\": 17, \"more\": 1"},
           {"0000000000000007", "0000000000000008"},
           {"\"bytes\": 20", "\"bytes\": 21"}}) {
    const std::string edited = absl::StrReplaceAll(text, {{from, to}});
    ASSERT_NE(edited, text) << from;
    EXPECT_THAT(ParseManifest(edited),
                StatusIs(kInvalid, "was changed after it was written"));
    // Written anew it is another manifest.
    EISBACH_EXPECT_OK(ParseManifest(Value(SealManifest(edited))));
  }
  // Spelling is no content.
  EISBACH_EXPECT_OK(ParseManifest(absl::StrReplaceAll(text, {{"\n", " "}})));
}

TEST(Manifest, DepthIsBounded) {
  const std::string deep =
      absl::StrCat(std::string(200000, '['), std::string(200000, ']'));
  EXPECT_THAT(ParseManifest(deep), StatusIs(kInvalid, "deep at byte"));
  const std::string text = Value(FormatManifest(Example()));
  EXPECT_THAT(ParseManifest(absl::StrReplaceAll(
                  text, {{"\"heads\": 8", absl::StrCat("\"heads\": ", deep)}})),
              StatusIs(kInvalid, "deep at byte"));
}

TEST(Manifest, DamageNeverBreaksTheReader) {
  const std::string text = Value(FormatManifest(Example()));
  for (size_t length = 0; length + 1 < text.size(); ++length) {
    EXPECT_THAT(ParseManifest(text.substr(0, length)), StatusIs(kInvalid, ""));
  }
  for (uint32_t i = 0; i < 20000; ++i) {
    const PhiloxCounter bits = Philox({i}, MakePhiloxKey(3));
    std::string damaged = text;
    for (int k = 0; k < 1 + static_cast<int>(bits[2] % 3); ++k) {
      damaged[(bits[0] + 97u * k) % text.size()] =
          static_cast<char>(bits[1] >> 8 * k);
    }
    const auto result = ParseManifest(damaged);  // any result, no crash
    EXPECT_TRUE(!result.ok() || result->files.size() == 3);
  }
}

TEST(ConfigChanges, HaveBothValues) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      const std::vector<ConfigChange> changes,
      ConfigChanges(R"({"a":{"x/y":1,"same":[1]},"b":[1,{"c":2}]})",
                    R"({"a":{"x/y":1.5,"same":[1]},"b":[1],"d":null})"));
  ASSERT_EQ(changes.size(), 3);
  EXPECT_EQ(changes[0].key, "a.x/y");
  EXPECT_EQ(changes[0].before, "1");
  EXPECT_EQ(changes[0].after, "1.5");
  EXPECT_EQ(changes[1].key, "b[1].c");
  EXPECT_EQ(changes[1].after, std::nullopt);
  EXPECT_EQ(changes[2].key, "d");
  EXPECT_EQ(changes[2].before, std::nullopt);
  EXPECT_EQ(changes[2].after, "null");
  EXPECT_THAT(ConfigChanges("{}", "[]").status(), StatusIs(kInvalid, "config"));
}

TEST(CheckConfig, NamesEveryKeyThatDiffers) {
  const char kSaved[] = R"({"model":{"heads":8,"eps":1e-5},"seed":1})";
  // Order and spelling of numbers do not matter.
  EISBACH_EXPECT_OK(CheckConfig(
      kSaved, R"({"seed": 1.0, "model": {"eps": 0.00001, "heads": 8}})"));
  EXPECT_THAT(
      CheckConfig(kSaved, R"({"model":{"heads":6,"bias":true},"seed":1})"),
      StatusIs(kInvalid,
               "model.eps=1e-05 in the checkpoint, absent in this run; "
               "model.heads=8 in the checkpoint, 6 in this run; "
               "model.bias absent in the checkpoint, true in this run"));
  EXPECT_THAT(
      CheckConfig(R"({"data":{"train":[{"a":1},{"a":2}]}})",
                  R"({"data":{"train":[{"a":1},{"a":3}]}})"),
      StatusIs(kInvalid, "data.train[1].a=2 in the checkpoint, 3 in this run"));
  EISBACH_EXPECT_OK(CheckConfig("{}", "{}"));
  EXPECT_THAT(CheckConfig("{}", R"({"a":1})"), StatusIs(kInvalid, "a absent"));
  EXPECT_THAT(CheckConfig(R"({"a":1})", "{}"), StatusIs(kInvalid, "a=1"));
  EXPECT_THAT(CheckConfig("{}", "null"), StatusIs(kInvalid, "config"));
}

}  // namespace
}  // namespace eisbach::checkpoint::manifest_test
