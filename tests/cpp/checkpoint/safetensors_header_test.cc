#include "checkpoint/safetensors_header.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::checkpoint::safetensors_header_test {
namespace {

using test::StatusIs;

constexpr absl::string_view kTwo =
    R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
    R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]}})";

void ExpectError(absl::string_view json, size_t bytes,
                 const std::string& message) {
  EXPECT_THAT(ParseSafetensorsHeader(json, bytes),
              StatusIs(absl::StatusCode::kInvalidArgument, message));
}

// `json` with the tensor "a" of 24 bytes described by `fields`.
void ExpectFieldError(absl::string_view fields, const std::string& message) {
  ExpectError(absl::StrCat("{\"a\":{", fields, "}}"), 24, message);
}

TEST(SafetensorsHeaderTest, ReadsEntries) {
  EISBACH_ASSERT_OK_AND_ASSIGN(SafetensorsHeader header,
                               ParseSafetensorsHeader(kTwo, 32));
  ASSERT_EQ(header.entries.size(), 2u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[0].dtype, DType::kF32);
  EXPECT_EQ(header.entries[0].shape, Shape({2, 3}));
  EXPECT_EQ(header.entries[1].shape, Shape());
  EXPECT_EQ(header.entries[1].begin, 24u);
  EXPECT_TRUE(header.metadata.empty());
}

TEST(SafetensorsHeaderTest, OrderIsThatOfTheData) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      SafetensorsHeader header,
      ParseSafetensorsHeader(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[5,7]},)"
          R"("__metadata__":{"format":"pt","x":""},)"
          R"("c":{"dtype":"U8","shape":[0,9],"data_offsets":[5,5]},)"
          R"("b":{"dtype":"U8","shape":[5],"data_offsets":[0,5]}}    )",
          7));
  ASSERT_EQ(header.entries.size(), 3u);
  EXPECT_EQ(header.entries[0].name, "b");
  EXPECT_EQ(header.entries[1].name, "c");
  EXPECT_EQ(header.entries[2].name, "a");
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsHeaderTest, TypesWeLackAreListedAllTheSame) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      SafetensorsHeader header,
      ParseSafetensorsHeader(
          R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", 3));
  EXPECT_EQ(header.entries[0].dtype, std::nullopt);
  EXPECT_EQ(header.entries[0].dtype_name, "BOOL");
}

// Types of less than a byte, and those of tomorrow: what their tensors take is
// not known, the places of all are.
TEST(SafetensorsHeaderTest, UnknownTypesLeaveTheOthersReadable) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      SafetensorsHeader header,
      ParseSafetensorsHeader(
          R"({"q":{"dtype":"F4","shape":[7],"data_offsets":[0,4]},)"
          R"("w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
          8));
  EXPECT_EQ(header.entries[0].dtype, std::nullopt);
  EXPECT_EQ(header.entries[0].dtype_name, "F4");
  EXPECT_EQ(header.entries[0].bytes(), 4u);
  EXPECT_EQ(header.entries[1].dtype, DType::kF32);
  ExpectError(R"({"q":{"dtype":"F4","shape":[7],"data_offsets":[0,4]},)"
              R"("w":{"dtype":"F32","shape":[1],"data_offsets":[3,7]}})",
              7, "begins at byte 3, inside the one before");
}

TEST(SafetensorsHeaderTest, FormatAndParseAreInverse) {
  SafetensorsHeader header;
  header.metadata = {{"k", "v \"quoted\" \n"}, {"ü", "ß"}};
  header.entries = {{"w", "F64", DType::kF64, Shape({2}), 0, 16},
                    {"layer.0/β", "BF16", DType::kBF16, Shape({1, 3}), 16, 22},
                    {"empty", "U8", DType::kU8, Shape({0}), 22, 22}};
  EISBACH_ASSERT_OK_AND_ASSIGN(std::string text,
                               FormatSafetensorsHeader(header));
  EXPECT_EQ(text.size() % 8, 0u);
  EISBACH_ASSERT_OK_AND_ASSIGN(SafetensorsHeader back,
                               ParseSafetensorsHeader(text, 22));
  EXPECT_EQ(back.metadata, header.metadata);
  ASSERT_EQ(back.entries.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(back.entries[i].name, header.entries[i].name);
    EXPECT_EQ(back.entries[i].dtype, header.entries[i].dtype);
    EXPECT_EQ(back.entries[i].shape, header.entries[i].shape);
    EXPECT_EQ(back.entries[i].end, header.entries[i].end);
  }
}

TEST(SafetensorsHeaderTest, EmptyObjectIsAFileOfNothing) {
  EISBACH_ASSERT_OK_AND_ASSIGN(SafetensorsHeader header,
                               ParseSafetensorsHeader("{}", 0));
  EXPECT_TRUE(header.entries.empty());
  ExpectError("{}", 1, "end at byte 0 of the data, which has 1");
}

TEST(SafetensorsHeaderTest, BadJson) {
  ExpectError("", 0, "does not begin with {");
  ExpectError(" {}", 0, "does not begin with {");
  ExpectError("[]", 0, "does not begin with {");
  ExpectError("{", 0, "not valid JSON");
  ExpectError("{}x", 0, "not valid JSON");
  ExpectError("{\"a\":1e999999}", 0, "not valid JSON");
  ExpectError("{\"\xff\":1}", 0, "not valid JSON");
  ExpectError(absl::StrCat("{\"a\":", std::string(100000, '[')), 0,
              "deep at byte");
}

TEST(SafetensorsHeaderTest, DuplicateNames) {
  ExpectError(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
              R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
              2, "names \"a\" twice");
  ExpectFieldError(R"("dtype":"F32","shape":[6],"shape":[6],)"
                   R"("data_offsets":[0,24])",
                   "names \"shape\" twice");
}

TEST(SafetensorsHeaderTest, BadFields) {
  ExpectError("{\"a\":3}", 0, "tensor \"a\": is not an object");
  ExpectFieldError(R"("shape":[6],"data_offsets":[0,24])", "has no dtype");
  ExpectFieldError(R"("dtype":1,"shape":[6],"data_offsets":[0,24])",
                   "has no dtype");
  for (const char* shape :
       {"6", "[6.0]", "[-6]", "[\"6\"]", "[9223372036854775808]", "null"}) {
    ExpectFieldError(
        absl::StrCat(R"("dtype":"F32","data_offsets":[0,24],"shape":)", shape),
        "shape is not a list of sizes");
  }
  ExpectFieldError(R"("dtype":"F32","data_offsets":[0,24])", "shape is not");
  for (const char* offsets : {"24", "[0]", "[0,24,24]", "[0,-1]", "[0,24.0]"}) {
    ExpectFieldError(
        absl::StrCat(R"("dtype":"F32","shape":[6],"data_offsets":)", offsets),
        "data_offsets is not [begin, end]");
  }
  ExpectError(R"({"__metadata__":{"a":1}})", 0, "\"a\" is not a string");
  ExpectError(R"({"__metadata__":[]})", 0, "__metadata__ is not an object");
}

TEST(SafetensorsHeaderTest, BadOffsets) {
  ExpectFieldError(R"("dtype":"F32","shape":[6],"data_offsets":[24,0])",
                   "data_offsets [24, 0] is not within 24 bytes");
  ExpectFieldError(R"("dtype":"F32","shape":[7],"data_offsets":[0,28])",
                   "data_offsets [0, 28] is not within 24 bytes");
  ExpectFieldError(R"("dtype":"F32","shape":[5],"data_offsets":[0,24])",
                   "F32[5] takes 20 bytes, but data_offsets hold 24");
  ExpectFieldError(
      R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,24])",
      "takes too many bytes");
  ExpectFieldError(
      R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])",
      "takes too many bytes");
  ExpectFieldError(R"("dtype":"F32","shape":[5],"data_offsets":[4,24])",
                   "begins at byte 4, leaving a hole after 0");
  ExpectFieldError(R"("dtype":"F32","shape":[5],"data_offsets":[0,20])",
                   "end at byte 20 of the data, which has 24");
  ExpectError(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
              R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
              3, "begins at byte 1, inside the one before that ends at 2");
}

// Every cut and every changed byte is an error or a header, never a crash.
TEST(SafetensorsHeaderTest, DamageIsFoundOrHarmless) {
  const std::string text = absl::StrCat(kTwo.substr(0, kTwo.size() - 1),
                                        R"(,"__metadata__":{"format":"pt"}})");
  EISBACH_ASSERT_OK(ParseSafetensorsHeader(text, 32));
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseSafetensorsHeader(text.substr(0, size), 32).ok());
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string damaged = text;
      damaged[at] = static_cast<char>(value);
      const auto header = ParseSafetensorsHeader(damaged, 32);
      if (!header.ok()) continue;
      size_t covered = 0;
      for (const SafetensorsEntry& entry : header->entries) {
        EXPECT_EQ(entry.begin, covered);
        covered = entry.end;
      }
      EXPECT_EQ(covered, 32u);
    }
  }
}

TEST(SafetensorsHeaderTest, NamesAreUtf8) {
  SafetensorsHeader header;
  header.entries = {{"\xff\xfe", "U8", DType::kU8, Shape({1}), 0, 1}};
  EXPECT_THAT(FormatSafetensorsHeader(header),
              StatusIs(absl::StatusCode::kInvalidArgument, "not UTF-8"));
  header.entries.clear();
  header.metadata = {{"a", "\xc3"}};
  EXPECT_THAT(FormatSafetensorsHeader(header),
              StatusIs(absl::StatusCode::kInvalidArgument, "not UTF-8"));
}

}  // namespace
}  // namespace eisbach::checkpoint::safetensors_header_test
