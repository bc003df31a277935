#include "checkpoint/manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint {
namespace {

using test::StatusIs;

class ManifestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    test::WriteFile(folder_.File("rank0.safetensors"), "12345");
    test::WriteFile(folder_.File("rank1.safetensors"), "");
    manifest_ = {
        400,
        "pipeline=1 x data=2 x context=1 x tensor=1",
        {{"seed", "1234"}, {"name", "a \"b\" \n ü"}},
        {test::Value(DescribeFile(folder_.path(), "rank0.safetensors")),
         test::Value(DescribeFile(folder_.path(), "rank1.safetensors"))}};
  }

  std::string Path() const { return folder_.File("manifest.json"); }

  // Writes `text` with `from` replaced by `to`, which has to be an error.
  void ExpectError(const std::string& from, const std::string& to,
                   const std::string& message) {
    EISBACH_ASSERT_OK(WriteManifest(folder_.path(), manifest_));
    std::string text = test::ReadFile(Path());
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    test::WriteFile(Path(), text);
    EXPECT_THAT(ReadManifest(folder_.path()),
                StatusIs(absl::StatusCode::kInvalidArgument, message));
  }

  test::TempFolder folder_;
  Manifest manifest_;
};

TEST_F(ManifestTest, RoundTrip) {
  EXPECT_THAT(ReadManifest(folder_.path()),
              StatusIs(absl::StatusCode::kNotFound, "manifest.json"));
  EISBACH_ASSERT_OK(WriteManifest(folder_.path(), manifest_));
  EISBACH_ASSERT_OK_AND_ASSIGN(Manifest back, ReadManifest(folder_.path()));
  EXPECT_EQ(back, manifest_);
  EXPECT_EQ(back.files[0].bytes, 5);
  EXPECT_EQ(folder_.Entries(), 3);
}

TEST_F(ManifestTest, DamageIsNamed) {
  ExpectError("eisbach.checkpoint", "other", "format \"other\" is not");
  ExpectError("\"version\": 1", "\"version\": 2", "version 2 is not 1");
  ExpectError("\"step\": 400", "\"step\": -1", "\"step\" is not a count");
  ExpectError("\"step\": 400", "\"step\": 1.5", "\"step\" is not a count");
  ExpectError("\"layout\"", "\"layuot\"", "\"layout\" is not a string");
  ExpectError("\"1234\"", "1234", "\"seed\" is not a string");
  ExpectError("\"bytes\": 5", "\"bytes\": 6",
              "rank0.safetensors has 5 bytes, not 6");
  ExpectError("rank1.safetensors", "rank2.safetensors",
              "lists rank2.safetensors");
  ExpectError("rank1.safetensors", "../rank1.safetensors",
              "leads out of the folder");
  ExpectError("{", "[", "is not a JSON object");
}

TEST_F(ManifestTest, EveryTruncationIsFound) {
  EISBACH_ASSERT_OK(WriteManifest(folder_.path(), manifest_));
  const std::string text = test::ReadFile(Path());
  for (size_t size = 0; size + 1 < text.size(); ++size) {
    test::WriteFile(Path(), text.substr(0, size));
    EXPECT_THAT(ReadManifest(folder_.path()),
                StatusIs(absl::StatusCode::kInvalidArgument, Path()));
  }
}

TEST_F(ManifestTest, FilesMustBeThere) {
  EXPECT_THAT(DescribeFile(folder_.path(), "none"),
              StatusIs(absl::StatusCode::kNotFound, "none"));
  EXPECT_FALSE(DescribeFile(folder_.path(), "a/b").ok());
}

}  // namespace
}  // namespace eisbach::checkpoint
