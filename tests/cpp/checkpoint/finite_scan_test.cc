#include "checkpoint/finite_scan.h"

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::finite_scan_test {
namespace {

using test::StatusIs;

// Tensors of all sizes of elements, none of which is aligned, made by hand.
const std::string kHeader =
    R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
    R"("b":{"dtype":"F32","shape":[5],"data_offsets":[3,23]},)"
    R"("none":{"dtype":"F32","shape":[0],"data_offsets":[23,23]},)"
    R"("c":{"dtype":"F64","shape":[2,2],"data_offsets":[23,55]},)"
    R"("d":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[55,57]},)"
    R"("e":{"dtype":"BF16","shape":[7],"data_offsets":[57,71]}})";
constexpr size_t kData = 71;

class FiniteScanTest : public testing::Test {
 protected:
  FiniteScanTest() {
    const uint64_t size = kHeader.size();
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes_ += kHeader;
    data_ = bytes_.size();
    bytes_.append(kData, '\0');
  }

  // Everything of a file of `bytes` in blocks of `most`, the last first.
  absl::Status Scan(const std::string& bytes, size_t most) const {
    test::WriteFile(path_, bytes);
    EISBACH_ASSIGN_OR_RETURN(const SafetensorsFile file,
                             SafetensorsFile::Open(path_));
    FiniteScan scan(file);
    const std::vector<ByteRange> blocks = scan.Cut(most);
    const auto all = std::as_bytes(std::span(bytes));
    for (size_t i = blocks.size(); i-- > 0;) {
      scan.Look(blocks[i], all.subspan(blocks[i].begin, blocks[i].bytes));
    }
    EXPECT_EQ(scan.status().ok(), file.CheckFinite().ok());
    EXPECT_EQ(scan.status().message(), file.CheckFinite().message());
    return scan.status();
  }

  const test::TempFolder folder_;
  const std::string path_ = folder_.File("x");
  std::string bytes_;
  size_t data_;
};

TEST_F(FiniteScanTest, BlocksHoldTheFileAndCutNoElement) {
  test::WriteFile(path_, bytes_);
  EISBACH_ASSERT_OK_AND_ASSIGN(const SafetensorsFile file,
                               SafetensorsFile::Open(path_));
  for (size_t most = 8; most < bytes_.size() + 3; ++most) {
    uint64_t at = 0;
    for (const ByteRange& block : FiniteScan(file).Cut(most)) {
      EXPECT_EQ(block.begin, at);
      EXPECT_GT(block.bytes, 0u);
      EXPECT_LE(block.bytes, most);
      at += block.bytes;
      for (const SafetensorsEntry& entry : file.entries()) {
        const uint64_t begin = file.OffsetOf(entry);
        if (!entry.dtype || at <= begin || at >= begin + entry.bytes()) {
          continue;
        }
        EXPECT_EQ((at - begin) % SizeOf(*entry.dtype), 0u)
            << entry.name << " in blocks of " << most;
      }
    }
    EXPECT_EQ(at, bytes_.size());
  }
}

TEST_F(FiniteScanTest, FindsTheFirstHoweverTheFileIsCut) {
  const float f32 = std::numeric_limits<float>::infinity();
  const double f64 = std::numeric_limits<double>::quiet_NaN();
  const uint16_t bf16 = 0xff80;
  struct Planted {
    size_t at;  // byte of the data
    std::string bytes;
    std::string text;
  };
  std::vector<Planted> planted;
  const auto add = [&](size_t begin, const auto& value, int count,
                       const std::string& name) {
    for (int i = 0; i < count; ++i) {
      planted.push_back(
          {begin + i * sizeof(value),
           std::string(reinterpret_cast<const char*>(&value), sizeof(value)),
           absl::StrCat("tensor \"", name, "\" is not finite: element ", i,
                        " of ", count, " is NaN or infinite")});
    }
  };
  add(3, f32, 5, "b");
  add(23, f64, 4, "c");
  add(57, bf16, 7, "e");
  for (const size_t most : {8, 11, 16, 23, 64, 1000}) {
    EISBACH_EXPECT_OK(Scan(bytes_, most));
    for (size_t i = 0; i < planted.size(); ++i) {
      std::string bytes = bytes_;
      // Also where a later one is found before it.
      for (const Planted& each : {planted[i], planted.back()}) {
        bytes.replace(data_ + each.at, each.bytes.size(), each.bytes);
        EXPECT_THAT(
            Scan(bytes, most),
            StatusIs(absl::StatusCode::kInvalidArgument, planted[i].text))
            << most;
      }
    }
  }
}

TEST_F(FiniteScanTest, TypesWithoutSuchValuesMayHoldAnything) {
  std::string bytes = bytes_;
  bytes.replace(data_, 3, "\xff\xff\xff");
  bytes.replace(data_ + 55, 2, "\x7f\x7f");
  EISBACH_EXPECT_OK(Scan(bytes, 16));
}

}  // namespace
}  // namespace eisbach::checkpoint::finite_scan_test
