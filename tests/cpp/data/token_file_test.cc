#include "data/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "data/token_file_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::token_file_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;

using Documents = std::vector<std::vector<int32_t>>;

void WriteTokens(const std::string& prefix, TokenType type,
                 const Documents& documents,
                 std::optional<int32_t> end_of_document = std::nullopt) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(prefix, type, end_of_document));
  for (const auto& document : documents) {
    EISBACH_ASSERT_OK(writer->AddDocument(document));
  }
  EISBACH_ASSERT_OK(writer->Finish());
}

std::vector<int32_t> ReadDocument(const TokenFile& file, int64_t document) {
  std::vector<int32_t> tokens(file.DocumentLength(document));
  EISBACH_EXPECT_OK(file.Read(document, 0, 1 << 30, absl::MakeSpan(tokens)));
  return tokens;
}

class TokenFileTypes : public ::testing::TestWithParam<TokenType> {};

TEST_P(TokenFileTypes, RoundTrip) {
  test::TempFolder folder;
  std::mt19937 rng(5);
  Documents documents;
  for (int length : {1, 0, 7, 300, 0, 65}) {
    std::vector<int32_t> document(length);
    for (int32_t& token : document) token = rng() % 128;
    documents.push_back(document);
  }
  WriteTokens(folder.File("x"), GetParam(), documents);
  EXPECT_EQ(folder.Entries(), 2);
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_EQ(file.type(), GetParam());
  EXPECT_EQ(file.documents(), 6);
  EXPECT_EQ(file.tokens(), 373);
  for (int d = 0; d < 6; ++d) EXPECT_EQ(ReadDocument(file, d), documents[d]);
  EISBACH_EXPECT_OK(file.CheckVocab(128));
  std::vector<int32_t> part(10);
  EISBACH_ASSERT_OK(file.Read(3, 100, 128, absl::MakeSpan(part)));
  EXPECT_EQ(part, std::vector<int32_t>(documents[3].begin() + 100,
                                       documents[3].begin() + 110));
}

INSTANTIATE_TEST_SUITE_P(All, TokenFileTypes,
                         ::testing::Values(TokenType::kU8, TokenType::kI8,
                                           TokenType::kI16, TokenType::kU16,
                                           TokenType::kI32, TokenType::kI64),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

TEST(TokenFileTest, LargestIdsSurvive) {
  test::TempFolder folder;
  WriteTokens(folder.File("a"), TokenType::kU16, {{65535, 0}});
  WriteTokens(folder.File("b"), TokenType::kI32, {{0x7fffffff, 65536}});
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile a, TokenFile::Open(folder.File("a")));
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile b, TokenFile::Open(folder.File("b")));
  EXPECT_THAT(ReadDocument(a, 0), ElementsAre(65535, 0));
  std::vector<int32_t> tokens(2);
  EISBACH_ASSERT_OK(b.Read(0, 0, int64_t{1} << 31, absl::MakeSpan(tokens)));
  EXPECT_THAT(tokens, ElementsAre(0x7fffffff, 65536));
}

// What Megatron's IndexedDatasetBuilder writes for [[1, 2, 300], [4]] in
// uint16, byte by byte.
TEST(TokenFileTest, BytesAreMegatrons) {
  test::TempFolder folder;
  WriteTokens(folder.File("x"), TokenType::kU16, {{1, 2, 300}, {4}});
  const std::string index(
      "MMIDIDX\0\0"
      "\1\0\0\0\0\0\0\0"
      "\10"
      "\2\0\0\0\0\0\0\0"
      "\3\0\0\0\0\0\0\0"
      "\3\0\0\0"
      "\1\0\0\0"
      "\0\0\0\0\0\0\0\0"
      "\6\0\0\0\0\0\0\0"
      "\0\0\0\0\0\0\0\0"
      "\1\0\0\0\0\0\0\0"
      "\2\0\0\0\0\0\0\0",
      82);
  EXPECT_EQ(test::ReadFile(folder.File("x.idx")), index);
  EXPECT_EQ(test::ReadFile(folder.File("x.bin")),
            std::string("\1\0\2\0\54\1\4\0", 8));
}

// Megatron can split a document into several sequences (sentences).
TEST(TokenFileTest, DocumentsMayHaveSeveralSequences) {
  test::TempFolder folder;
  const std::string index(
      "MMIDIDX\0\0"
      "\1\0\0\0\0\0\0\0"
      "\1"
      "\3\0\0\0\0\0\0\0"
      "\4\0\0\0\0\0\0\0"
      "\2\0\0\0"
      "\1\0\0\0"
      "\3\0\0\0"
      "\0\0\0\0\0\0\0\0"
      "\2\0\0\0\0\0\0\0"
      "\3\0\0\0\0\0\0\0"
      "\0\0\0\0\0\0\0\0"
      "\2\0\0\0\0\0\0\0"
      "\2\0\0\0\0\0\0\0"
      "\3\0\0\0\0\0\0\0",
      102);
  test::WriteFile(folder.File("x.idx"), index);
  test::WriteFile(folder.File("x.bin"), "\1\2\3\4\5\6");
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_EQ(file.documents(), 3);
  EXPECT_THAT(ReadDocument(file, 0), ElementsAre(1, 2, 3));
  EXPECT_THAT(ReadDocument(file, 1), ElementsAre());
  EXPECT_THAT(ReadDocument(file, 2), ElementsAre(4, 5, 6));
}

TEST(TokenFileTest, NoDocumentsAtAll) {
  test::TempFolder folder;
  WriteTokens(folder.File("x"), TokenType::kI32, {});
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_EQ(file.documents(), 0);
  EXPECT_EQ(file.tokens(), 0);
  EISBACH_EXPECT_OK(file.CheckVocab(1));
}

TEST(TokenFileTest, TokenOutsideTheVocabularyIsNamed) {
  test::TempFolder folder;
  std::vector<int32_t> longer(70000, 1);
  longer[69999] = 9;
  WriteTokens(folder.File("x"), TokenType::kU8, {{1, 2, 3}, {4, 5, 9}, {}});
  WriteTokens(folder.File("y"), TokenType::kU8, {{1}, longer});
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile x, TokenFile::Open(folder.File("x")));
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile y, TokenFile::Open(folder.File("y")));
  EISBACH_EXPECT_OK(x.CheckVocab(10));
  EXPECT_THAT(x.CheckVocab(9),
              StatusIs(absl::StatusCode::kOutOfRange,
                       absl::StrCat(folder.File("x.bin"),
                                    ": token 9 at position 2 of document 1 is "
                                    "outside the vocabulary of 9")));
  EXPECT_THAT(y.CheckVocab(9), StatusIs(absl::StatusCode::kOutOfRange,
                                        "position 69999 of document 1"));
  std::vector<int32_t> tokens(2);
  EISBACH_EXPECT_OK(x.Read(1, 0, 9, absl::MakeSpan(tokens)));
  EXPECT_THAT(x.Read(1, 1, 9, absl::MakeSpan(tokens)),
              StatusIs(absl::StatusCode::kOutOfRange, "position 2"));
}

TEST(TokenFileTest, NegativeAndHugeIdsAreOutside) {
  test::TempFolder folder;
  WriteTokens(folder.File("x"), TokenType::kI8, {{1}});
  test::WriteFile(folder.File("x.bin"), "\xff");
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile x, TokenFile::Open(folder.File("x")));
  EXPECT_THAT(x.CheckVocab(256),
              StatusIs(absl::StatusCode::kOutOfRange, "token -1"));

  WriteTokens(folder.File("y"), TokenType::kI64, {{1}});
  test::WriteFile(folder.File("y.bin"),
                  absl::string_view("\1\0\0\0\1\0\0\0", 8));
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile y, TokenFile::Open(folder.File("y")));
  EXPECT_THAT(y.CheckVocab(256),
              StatusIs(absl::StatusCode::kOutOfRange, "token 4294967297"));
}

TEST(TokenFileWriterTest, EndsDocuments) {
  test::TempFolder folder;
  WriteTokens(folder.File("x"), TokenType::kU8, {{1, 2}, {}}, 255);
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_THAT(ReadDocument(file, 0), ElementsAre(1, 2, 255));
  EXPECT_THAT(ReadDocument(file, 1), ElementsAre(255));
}

TEST(TokenFileWriterTest, TakesDocumentsInPieces) {
  test::TempFolder folder;
  WriteTokens(folder.File("whole"), TokenType::kU16,
              {{1, 2, 300, 4}, {}, {5, 6}}, 9);
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(folder.File("pieces"), TokenType::kU16, 9));
  EISBACH_ASSERT_OK(writer->Append({1, 2}));
  EXPECT_THAT(writer->Append({3, 70000}),
              StatusIs(absl::StatusCode::kOutOfRange,
                       "token 70000 at position 3 of document 0"));
  EISBACH_ASSERT_OK(writer->Append({300}));
  EISBACH_ASSERT_OK(writer->Append({4}));
  EXPECT_EQ(writer->documents(), 0);
  EISBACH_ASSERT_OK(writer->EndDocument());
  EISBACH_ASSERT_OK(writer->EndDocument());
  EISBACH_ASSERT_OK(writer->Append({5, 6}));
  EXPECT_THAT(writer->Finish(),
              StatusIs(absl::StatusCode::kFailedPrecondition, "document 2"));
  EISBACH_ASSERT_OK(writer->EndDocument());
  EXPECT_EQ(writer->documents(), 3);
  EXPECT_EQ(writer->tokens(), 9);
  EISBACH_ASSERT_OK(writer->Finish());
  for (const char* suffix : {".bin", ".idx"}) {
    EXPECT_EQ(test::ReadFile(folder.File(absl::StrCat("pieces", suffix))),
              test::ReadFile(folder.File(absl::StrCat("whole", suffix))));
  }
}

TEST(TokenFileWriterTest, LongDocumentsAreSeveralSequences) {
  test::TempFolder folder;
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(folder.File("x"), TokenType::kU8, 9,
                              /*longest_sequence=*/3));
  EISBACH_ASSERT_OK(writer->Append({1, 2}));
  EISBACH_ASSERT_OK(writer->Append({3, 4, 5, 6}));
  EISBACH_ASSERT_OK(writer->EndDocument());  // with 9: 3 + 3 + 1 tokens
  EISBACH_ASSERT_OK(writer->AddDocument({7}));
  EISBACH_ASSERT_OK(writer->Finish());
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_EQ(file.documents(), 2);
  EXPECT_THAT(ReadDocument(file, 0), ElementsAre(1, 2, 3, 4, 5, 6, 9));
  EXPECT_THAT(ReadDocument(file, 1), ElementsAre(7, 9));
  const std::string index = test::ReadFile(folder.File("x.idx"));
  EXPECT_EQ(index.substr(18, 8), std::string("\4\0\0\0\0\0\0\0", 8));
  EXPECT_EQ(index.substr(34, 16),
            std::string("\3\0\0\0\3\0\0\0\1\0\0\0\2\0\0\0", 16));
}

TEST(TokenFileWriterTest, RefusesWhatDoesNotFit) {
  test::TempFolder folder;
  EXPECT_THAT(TokenFileWriter::Create(folder.File("x"), TokenType::kU8, 256),
              StatusIs(absl::StatusCode::kOutOfRange, "end-of-document token"));
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(folder.File("x"), TokenType::kU8, {}));
  EISBACH_ASSERT_OK(writer->AddDocument({7}));
  EXPECT_THAT(writer->AddDocument({1, 256}),
              StatusIs(absl::StatusCode::kOutOfRange,
                       "token 256 at position 1 of document 1"));
  EXPECT_THAT(writer->AddDocument({-1}),
              StatusIs(absl::StatusCode::kOutOfRange, "token -1"));
  EISBACH_ASSERT_OK(writer->AddDocument({8}));
  EISBACH_ASSERT_OK(writer->Finish());
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_EQ(file.documents(), 2);
  EXPECT_THAT(ReadDocument(file, 1), ElementsAre(8));
}

TEST(TokenFileWriterTest, LeavesNothingWithoutFinish) {
  test::TempFolder folder;
  {
    EISBACH_ASSERT_OK_AND_ASSIGN(
        std::unique_ptr<TokenFileWriter> writer,
        TokenFileWriter::Create(folder.File("x"), TokenType::kU8, {}));
    EISBACH_ASSERT_OK(writer->AddDocument({1, 2, 3}));
    EXPECT_EQ(folder.Entries(), 1);
  }
  EXPECT_EQ(folder.Entries(), 0);
}

TEST(TokenFileWriterTest, ReplacesAnOlderPair) {
  test::TempFolder folder;
  WriteTokens(folder.File("x"), TokenType::kU8, {{1}, {2}});
  WriteTokens(folder.File("x"), TokenType::kU16, {{1000}});
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file,
                               TokenFile::Open(folder.File("x")));
  EXPECT_EQ(file.documents(), 1);
  EXPECT_THAT(ReadDocument(file, 0), ElementsAre(1000));
}

TEST(TokenTypeTest, SmallestThatHoldsTheVocabulary) {
  EXPECT_EQ(TokenTypeFor(256), TokenType::kU8);
  EXPECT_EQ(TokenTypeFor(257), TokenType::kU16);
  EXPECT_EQ(TokenTypeFor(65536), TokenType::kU16);
  EXPECT_EQ(TokenTypeFor(65537), TokenType::kI32);
}

TEST(TokenFileTest, AMaskIsReadAsItWasWritten) {
  test::TempFolder folder;
  const std::string prefix = folder.File("x");
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(prefix, TokenType::kU16, 9, 2, /*masked=*/true));
  EISBACH_ASSERT_OK(writer->Append({1, 2, 3}, {0, 1, 1}));
  EISBACH_ASSERT_OK(writer->Append({4}, {0}));
  EISBACH_ASSERT_OK(writer->EndDocument());
  EISBACH_ASSERT_OK(writer->AddDocument({5, 6}));  // all of it
  EXPECT_THAT(writer->Append({7, 8}, {1}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "a mask of 1 values for 2 tokens"));
  EXPECT_THAT(writer->Append({7, 8}, {1, 2}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "mask 2 of the token at position 1 of document 2"));
  EXPECT_EQ(folder.Entries(), 2) << "scratch files alone";
  EISBACH_ASSERT_OK(writer->Finish());
  EXPECT_EQ(folder.Entries(), 3);

  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file, TokenFile::Open(prefix));
  EXPECT_TRUE(file.masked());
  EXPECT_EQ(file.tokens(), 8);
  EXPECT_EQ(file.trained(), 6);
  const auto mask = [&](int64_t document) {
    std::vector<uint8_t> read(file.DocumentLength(document));
    EISBACH_EXPECT_OK(file.ReadMask(document, 0, absl::MakeSpan(read)));
    return read;
  };
  EXPECT_THAT(mask(0), ElementsAre(0, 1, 1, 0, 1));
  EXPECT_THAT(mask(1), ElementsAre(1, 1, 1));
  std::vector<uint8_t> part(2);
  EISBACH_EXPECT_OK(file.ReadMask(0, 2, absl::MakeSpan(part)));
  EXPECT_THAT(part, ElementsAre(1, 0));
  EXPECT_TRUE(file.AnyTrained(0, 0, 2));
  EXPECT_FALSE(file.AnyTrained(0, 3, 1));
  EXPECT_FALSE(file.AnyTrained(0, 1, 0));

  std::filesystem::resize_file(prefix + ".mask", 20);
  EXPECT_THAT(file.CheckWhole(), StatusIs(absl::StatusCode::kOutOfRange,
                                          prefix + ".mask ends at byte 20"));
}

// It was of the tokens that stood there before.
TEST(TokenFileTest, APairWithoutAMaskTakesAnOldOneAway) {
  test::TempFolder folder;
  const std::string prefix = folder.File("x");
  test::WriteFile(prefix + ".mask", "of others");
  WriteTokens(prefix, TokenType::kU8, {{1, 2}});
  EXPECT_EQ(folder.Entries(), 2);
  EISBACH_ASSERT_OK_AND_ASSIGN(TokenFile file, TokenFile::Open(prefix));
  EXPECT_FALSE(file.masked());
  EXPECT_EQ(file.trained(), 2);
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(prefix, TokenType::kU8, {}));
  EXPECT_THAT(
      writer->Append({1}, {1}),
      StatusIs(absl::StatusCode::kInvalidArgument, "no mask is written"));
}

}  // namespace
}  // namespace eisbach::data::token_file_test
