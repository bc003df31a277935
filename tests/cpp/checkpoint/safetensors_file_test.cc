#include "checkpoint/safetensors_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "checkpoint/safetensors_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::checkpoint::safetensors_file_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<SafetensorsSpec> Specs() {
  return {{"b.u8", DType::kU8, Shape({3})},
          {"w", DType::kF32, Shape({2, 2})},
          {"a.bf16", DType::kBF16, Shape({5})},
          {"half", DType::kF16, Shape({1, 1, 3})},
          {"wide", DType::kF64, Shape()},
          {"ids", DType::kI32, Shape({3})},
          {"long", DType::kI64, Shape({0, 4})},
          {"short", DType::kU16, Shape({7})}};
}

// Bytes that tell tensor and position.
std::string Content(const SafetensorsEntry& entry) {
  std::string bytes(entry.bytes(), '\0');
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(entry.name[0] * 7 + i);
  }
  return bytes;
}

void WriteAll(const std::string& path,
              const std::vector<SafetensorsSpec>& specs, size_t piece) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<SafetensorsWriter> writer,
      SafetensorsWriter::Create(path, specs, {{"format", "pt"}}));
  for (const SafetensorsEntry& entry : writer->entries()) {
    const std::string bytes = Content(entry);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      EISBACH_ASSERT_OK(writer->Write(entry.name, bytes.data() + at,
                                      std::min(piece, bytes.size() - at)));
    }
  }
  EISBACH_ASSERT_OK(writer->Commit());
}

TEST(SafetensorsFileTest, RoundTrip) {
  test::TempFolder folder;
  for (size_t piece : {1, 3, 1000}) {
    WriteAll(folder.File("x"), Specs(), piece);
    EISBACH_ASSERT_OK_AND_ASSIGN(SafetensorsFile file,
                                 SafetensorsFile::Open(folder.File("x")));
    EXPECT_EQ(file.metadata().at("format"), "pt");
    EXPECT_EQ(file.entries().size(), Specs().size());
    for (const SafetensorsSpec& spec : Specs()) {
      const SafetensorsEntry* entry = file.Find(spec.name);
      ASSERT_NE(entry, nullptr) << spec.name;
      EXPECT_EQ(entry->dtype, spec.dtype);
      EXPECT_EQ(entry->shape, spec.shape);
      EXPECT_EQ(Text(file.Bytes(*entry)), Content(*entry));
      EXPECT_EQ(entry->begin % SizeOf(spec.dtype), 0u) << "alignment";
      EISBACH_ASSERT_OK_AND_ASSIGN(
          std::span<const std::byte> bytes,
          file.Bytes(spec.name, spec.dtype, spec.shape));
      EXPECT_EQ(bytes.data(), file.Bytes(*entry).data());
    }
  }
  EXPECT_EQ(folder.Entries(), 1);
}

// What the safetensors package writes for {"b": ones(2, u8), "a": [1.5] f32}.
TEST(SafetensorsFileTest, BytesAreThoseOfThePackage) {
  test::TempFolder folder;
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<SafetensorsWriter> writer,
      SafetensorsWriter::Create(
          folder.File("x"),
          {{"b", DType::kU8, Shape({2})}, {"a", DType::kF32, Shape({1})}}, {}));
  const float a = 1.5f;
  const uint8_t b[2] = {1, 1};
  EISBACH_ASSERT_OK(writer->Write("a", &a, 4));
  EISBACH_ASSERT_OK(writer->Write("b", b, 2));
  EISBACH_ASSERT_OK(writer->Commit());
  const std::string json =
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
      R"("b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})";
  std::string expected("\0\0\0\0\0\0\0\0", 8);
  const size_t padded = (json.size() + 7) / 8 * 8;
  expected[0] = static_cast<char>(padded);
  expected += json + std::string(padded - json.size(), ' ');
  expected += std::string("\0\0\xc0\x3f\1\1", 6);
  EXPECT_EQ(test::ReadFile(folder.File("x")), expected);
}

TEST(SafetensorsFileTest, NameTypeAndShapeAreChecked) {
  test::TempFolder folder;
  WriteAll(folder.File("x"), Specs(), 100);
  EISBACH_ASSERT_OK_AND_ASSIGN(SafetensorsFile file,
                               SafetensorsFile::Open(folder.File("x")));
  EXPECT_EQ(file.Find("none"), nullptr);
  EXPECT_THAT(file.Bytes("none", DType::kF32, Shape({1})),
              StatusIs(absl::StatusCode::kNotFound, "no tensor \"none\""));
  EXPECT_THAT(file.Bytes("w", DType::kBF16, Shape({2, 2})),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "tensor \"w\" is F32[2, 2], not BF16[2, 2]"));
  EXPECT_THAT(file.Bytes("w", DType::kF32, Shape({4})),
              StatusIs(absl::StatusCode::kInvalidArgument, "not F32[4]"));
}

TEST(SafetensorsFileTest, EveryTruncationIsFound) {
  test::TempFolder folder;
  WriteAll(folder.File("x"), Specs(), 100);
  const std::string bytes = test::ReadFile(folder.File("x"));
  for (size_t size = 0; size < bytes.size(); ++size) {
    test::WriteFile(folder.File("y"), bytes.substr(0, size));
    EXPECT_THAT(SafetensorsFile::Open(folder.File("y")),
                StatusIs(absl::StatusCode::kInvalidArgument, folder.File("y")))
        << size;
  }
  test::WriteFile(folder.File("y"), bytes + "x");
  EXPECT_FALSE(SafetensorsFile::Open(folder.File("y")).ok());
}

TEST(SafetensorsFileTest, EveryFlippedBitIsFoundOrHarmless) {
  test::TempFolder folder;
  WriteAll(folder.File("x"), Specs(), 100);
  const std::string bytes = test::ReadFile(folder.File("x"));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      test::WriteFile(folder.File("y"), damaged);
      const auto file = SafetensorsFile::Open(folder.File("y"));
      if (!file.ok()) continue;
      size_t total = 0;
      for (const SafetensorsEntry& entry : file->entries()) {
        const std::string content = Text(file->Bytes(entry));
        total += content.size();
      }
      EXPECT_EQ(total, 8u + 16 + 12 + 10 + 6 + 14 + 3);
    }
  }
}

TEST(SafetensorsFileTest, HugeHeaderSizesAreRefused) {
  test::TempFolder folder;
  for (absl::string_view size :
       {absl::string_view("\xff\xff\xff\xff\xff\xff\xff\xff", 8),
        absl::string_view("\0\0\0\0\0\0\0\x80", 8),
        absl::string_view("\1\xe1\xf5\5\0\0\0\0", 8)}) {
    test::WriteFile(folder.File("x"), absl::StrCat(size, "{}"));
    EXPECT_THAT(
        SafetensorsFile::Open(folder.File("x")),
        StatusIs(absl::StatusCode::kInvalidArgument, "no safetensors file"));
  }
}

TEST(SafetensorsWriterTest, OrderIsChecked) {
  test::TempFolder folder;
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<SafetensorsWriter> writer,
      SafetensorsWriter::Create(
          folder.File("x"),
          {{"b", DType::kI32, Shape({1})}, {"a", DType::kI32, Shape({2})}},
          {}));
  const int32_t data[3] = {1, 2, 3};
  EXPECT_THAT(writer->Write("b", data, 4),
              StatusIs(absl::StatusCode::kInvalidArgument, "next is \"a\""));
  EXPECT_THAT(writer->Write("a", data, 12),
              StatusIs(absl::StatusCode::kInvalidArgument, "has 8 left"));
  EISBACH_ASSERT_OK(writer->Write("a", data, 4));
  EXPECT_THAT(writer->Commit(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                         "tensor \"a\" lacks 4 of 8 bytes"));
  EISBACH_ASSERT_OK(writer->Write("a", data + 1, 4));
  EISBACH_ASSERT_OK(writer->Write("b", data + 2, 4));
  EXPECT_THAT(writer->Write("b", data, 4),
              StatusIs(absl::StatusCode::kInvalidArgument, "next is the end"));
  EISBACH_ASSERT_OK(writer->Commit());
  EISBACH_ASSERT_OK(SafetensorsFile::Open(folder.File("x")));
}

TEST(SafetensorsWriterTest, SpecsAreChecked) {
  test::TempFolder folder;
  const auto create = [&](std::vector<SafetensorsSpec> specs) {
    return SafetensorsWriter::Create(folder.File("x"), specs, {});
  };
  EXPECT_THAT(
      create({{"a", DType::kI32, Shape({1})}, {"a", DType::kF64, Shape()}}),
      StatusIs(absl::StatusCode::kInvalidArgument, "\"a\" is given twice"));
  EXPECT_THAT(create({{"__metadata__", DType::kI32, Shape({1})}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "__metadata__"));
  EXPECT_THAT(create({{"a", DType::kI32, Shape({-1})}}),
              StatusIs(absl::StatusCode::kInvalidArgument, "shape [-1]"));
  EXPECT_EQ(folder.Entries(), 0);
}

TEST(SafetensorsWriterTest, LeavesNothingWithoutCommit) {
  test::TempFolder folder;
  {
    EISBACH_ASSERT_OK_AND_ASSIGN(
        std::unique_ptr<SafetensorsWriter> writer,
        SafetensorsWriter::Create(folder.File("x"),
                                  {{"a", DType::kI32, Shape({2})}}, {}));
    const int32_t data[2] = {1, 2};
    EISBACH_ASSERT_OK(writer->Write("a", data, 8));
  }
  EXPECT_EQ(folder.Entries(), 0);
}

TEST(SafetensorsWriterTest, NoTensorsIsAFile) {
  test::TempFolder folder;
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<SafetensorsWriter> writer,
      SafetensorsWriter::Create(folder.File("x"), {}, {{"step", "12"}}));
  EISBACH_ASSERT_OK(writer->Commit());
  EISBACH_ASSERT_OK_AND_ASSIGN(SafetensorsFile file,
                               SafetensorsFile::Open(folder.File("x")));
  EXPECT_TRUE(file.entries().empty());
  EXPECT_EQ(file.metadata().at("step"), "12");
}

}  // namespace
}  // namespace eisbach::checkpoint::safetensors_file_test
