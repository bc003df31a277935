#include "checkpoint/check_file.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/safetensors_writer.h"
#include "core/content_hash.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::check_file_test {
namespace {

using test::StatusIs;
using test::Value;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int64_t kFew = 777, kMany = 2'500'001;

// A file of ten blocks and a part of one.
class CheckFileTest : public testing::TestWithParam<PageCache> {
 protected:
  CheckFileTest() {
    std::vector<float> values(kMany);
    for (int64_t i = 0; i < kMany; ++i) values[i] = static_cast<float>(i);
    auto writer =
        Value(SafetensorsWriter::Create(path_,
                                        {{"few", DType::kF32, Shape{kFew}},
                                         {"many", DType::kF32, Shape{kMany}}},
                                        {}));
    EISBACH_EXPECT_OK(
        writer->Write("few", values.data(), kFew * sizeof(float)));
    EISBACH_EXPECT_OK(
        writer->Write("many", values.data(), kMany * sizeof(float)));
    EISBACH_EXPECT_OK(writer->Commit());
    bytes_ = test::ReadFile(path_);
    Listed(bytes_);
  }

  template <typename... Progress>
  absl::Status Check(const Progress&... progress) const {
    return CheckFile(folder_.path(), file_, GetParam(), progress...);
  }

  // The manifest says what `bytes` are.
  void Listed(const std::string& bytes) {
    file_.bytes = bytes.size();
    file_.hash = ContentHash(bytes);
  }
  void Write(size_t at, char value) const {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(value);
  }

  const test::TempFolder folder_;
  const std::string path_ = folder_.File("x");
  std::string bytes_;
  ManifestFile file_{.name = "x", .pipeline = 0, .tensor = 0, .data = 0};
};

TEST_P(CheckFileTest, TellsHowFarItIs) {
  std::vector<uint64_t> seen = {0};
  EISBACH_ASSERT_OK(Check([&](uint64_t bytes) {
    EXPECT_GT(bytes, seen.back());
    seen.push_back(bytes);
    return absl::OkStatus();
  }));
  EXPECT_EQ(seen.back(), bytes_.size());
  EXPECT_GT(seen.size(), 10u);
  EXPECT_THAT(Check([&](uint64_t bytes) {
                return bytes < bytes_.size() / 2
                           ? absl::OkStatus()
                           : absl::CancelledError("enough");
              }),
              StatusIs(absl::StatusCode::kCancelled, "enough"));
}

TEST_P(CheckFileTest, FindsAByteThatWasChangedInAnyBlock) {
  for (size_t at = 0; at < bytes_.size() + (900 << 10); at += 900 << 10) {
    const size_t byte = std::min(at, bytes_.size() - 1);
    SCOPED_TRACE(byte);
    Write(byte, static_cast<char>(bytes_[byte] ^ 0x10));
    EXPECT_THAT(
        Check(),
        StatusIs(kInvalid, absl::StrCat(path_, " is damaged: its xxh64 is ")));
    Write(byte, bytes_[byte]);
  }
  EISBACH_EXPECT_OK(Check());
}

TEST_P(CheckFileTest, NamesTheFirstNumberThatIsNotFinite) {
  const float nan = std::nanf("");
  const auto plant = [&](int64_t element) {
    std::memcpy(&bytes_[bytes_.size() - (kMany - element) * sizeof(float)],
                &nan, sizeof(nan));
    test::WriteFile(path_, bytes_);
  };
  for (const auto& [element, first] : {std::pair(kMany - 1, kMany - 1),
                                       {int64_t{1'500'000}, 1'500'000},
                                       {int64_t{0}, 0},
                                       {int64_t{7}, 0}}) {
    plant(element);
    Listed(bytes_);
    EXPECT_THAT(Check(),
                StatusIs(kInvalid,
                         absl::StrCat("tensor \"many\" is not finite: element ",
                                      first, " of ", kMany)));
  }
  // A file that is damaged is that first of all.
  plant(1);
  EXPECT_THAT(Check(), StatusIs(kInvalid, "is damaged: its xxh64"));
}

TEST_P(CheckFileTest, AHeaderThatIsNoneIsToldWhenTheHashIsRight) {
  bytes_[9] = '?';
  test::WriteFile(path_, bytes_);
  EXPECT_THAT(Check(), StatusIs(kInvalid, "is damaged: its xxh64"));
  Listed(bytes_);
  EXPECT_THAT(Check(), StatusIs(kInvalid, path_));
}

TEST_P(CheckFileTest, AFileThatBecomesShorterMeanwhileIsAnError) {
  EXPECT_THAT(Check([&](uint64_t) {
                std::filesystem::resize_file(path_, 100);
                return absl::OkStatus();
              }),
              StatusIs(absl::StatusCode::kOutOfRange,
                       absl::StrCat("it had ", bytes_.size(),
                                    " bytes when it was opened")));
  EXPECT_THAT(Check(),
              StatusIs(kInvalid, absl::StrCat(path_,
                                              " has 100 bytes, the manifest "
                                              "says ",
                                              bytes_.size())));
}

INSTANTIATE_TEST_SUITE_P(All, CheckFileTest,
                         testing::Values(PageCache::kFill, PageCache::kPass),
                         [](const auto& info) {
                           return info.param == PageCache::kFill ? "fill"
                                                                 : "pass";
                         });

}  // namespace
}  // namespace eisbach::checkpoint::check_file_test
