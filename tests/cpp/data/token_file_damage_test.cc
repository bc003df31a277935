// Damaged token files: every truncation and every flipped bit of an index is
// an error or still a readable file, and never a crash (run with ASan, UBSan).

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "data/token_file_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::token_file_damage_test {
namespace {

using test::StatusIs;

class TokenFileDamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EISBACH_ASSERT_OK_AND_ASSIGN(
        std::unique_ptr<TokenFileWriter> writer,
        TokenFileWriter::Create(prefix_, TokenType::kU16, {}));
    EISBACH_ASSERT_OK(writer->AddDocument({1, 2, 3, 4, 5}));
    EISBACH_ASSERT_OK(writer->AddDocument({}));
    EISBACH_ASSERT_OK(writer->AddDocument({6, 7}));
    EISBACH_ASSERT_OK(writer->Finish());
    index_ = test::ReadFile(prefix_ + ".idx");
    tokens_ = test::ReadFile(prefix_ + ".bin");
  }

  // Opens and reads all of it; says whether it opened.
  bool ReadAll() {
    const absl::StatusOr<TokenFile> file = TokenFile::Open(prefix_);
    if (!file.ok()) {
      EXPECT_NE(file.status().message().find(prefix_), std::string::npos)
          << file.status();
      return false;
    }
    int64_t tokens = 0;
    for (int64_t d = 0; d < file->documents(); ++d) {
      std::vector<int32_t> document(file->DocumentLength(d));
      file->Read(d, 0, 8, absl::MakeSpan(document)).IgnoreError();
      tokens += file->DocumentLength(d);
    }
    EXPECT_EQ(tokens, file->tokens());
    file->CheckVocab(8).IgnoreError();
    return true;
  }

  void ExpectError(size_t at, absl::string_view bytes,
                   const std::string& message) {
    std::string damaged = index_;
    damaged.replace(at, bytes.size(), bytes.data(), bytes.size());
    test::WriteFile(prefix_ + ".idx", damaged);
    EXPECT_THAT(TokenFile::Open(prefix_),
                StatusIs(absl::StatusCode::kInvalidArgument, message));
  }

  test::TempFolder folder_;
  const std::string prefix_ = folder_.File("x");
  std::string index_;
  std::string tokens_;
};

TEST_F(TokenFileDamageTest, TruncatedIndex) {
  ASSERT_TRUE(ReadAll());
  for (size_t size = 0; size < index_.size(); ++size) {
    test::WriteFile(prefix_ + ".idx", index_.substr(0, size));
    EXPECT_FALSE(ReadAll()) << size << " bytes";
  }
}

TEST_F(TokenFileDamageTest, LongerIndex) {
  for (size_t more = 1; more < 30; ++more) {
    test::WriteFile(prefix_ + ".idx", index_ + std::string(more, '\0'));
    EXPECT_FALSE(ReadAll()) << more << " bytes";
  }
}

TEST_F(TokenFileDamageTest, EveryFlippedBitOfTheIndex) {
  int opened = 0;
  for (size_t at = 0; at < index_.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = index_;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      test::WriteFile(prefix_ + ".idx", damaged);
      opened += ReadAll();
    }
  }
  // A bound may move between documents, and i16 is as wide as u16; the rest
  // has to be found.
  EXPECT_LE(opened, 6);
}

TEST_F(TokenFileDamageTest, EveryByteOfTheHeaderSetHigh) {
  for (size_t at = 0; at < index_.size(); ++at) {
    for (size_t count = 1; count <= 8 && at + count <= index_.size(); ++count) {
      for (char value : {'\0', '\x7f', '\x80', '\xff'}) {
        std::string damaged = index_;
        damaged.replace(at, count, std::string(count, value));
        test::WriteFile(prefix_ + ".idx", damaged);
        ReadAll();
      }
    }
  }
}

TEST_F(TokenFileDamageTest, TokensOfAnotherSize) {
  for (size_t size = 0; size < tokens_.size(); ++size) {
    test::WriteFile(prefix_ + ".bin", tokens_.substr(0, size));
    EXPECT_FALSE(ReadAll()) << size << " bytes";
  }
  test::WriteFile(prefix_ + ".bin", tokens_ + "x");
  EXPECT_FALSE(ReadAll());
}

TEST_F(TokenFileDamageTest, MessagesSayWhatAndWhere) {
  ExpectError(0, "MMIDIDY", "begins with \"MMIDIDY\\x00\\x00\"");
  ExpectError(9, "\2", "version 2 is not 1");
  ExpectError(17, "\7", "token type code 7 is none of");
  ExpectError(18, "\4", "4 sequences and 4 document bounds");
  ExpectError(18, "\xff\xff\xff\xff\xff\xff\xff\xff", "another number");
  ExpectError(26, absl::string_view("\0", 1), "no document bounds");
  ExpectError(34, "\xff\xff\xff\xff", "sequence 0 has length -1");
  ExpectError(34, "\6",
              "sequence 1 begins at byte 10, but the ones before it "
              "end at 12");
  ExpectError(42, "\3", "sequence 2 ends at byte 16");
  ExpectError(42, "\1", "describes 12 bytes");
  ExpectError(70, "\1", "the first document begins at sequence 1");
  ExpectError(78, "\3", "document 1 is sequences 3 to 2 of 3");
  ExpectError(94, "\4", "document 2 is sequences 2 to 4 of 3");
  ExpectError(94, "\2", "the last document ends at sequence 2 of 3");
}

TEST_F(TokenFileDamageTest, EveryFlippedBitOfTheMask) {
  const std::string mask("EISMASK\0\1\0\0\0\0\0\0\0\1\0\0\1\1\0\1", 23);
  test::WriteFile(prefix_ + ".mask", mask);
  ASSERT_TRUE(ReadAll());
  for (size_t at = 0; at < mask.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = mask;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      test::WriteFile(prefix_ + ".mask", damaged);
      // Trained or not is the only thing that a bit may change.
      EXPECT_EQ(ReadAll(), at >= 16 && bit == 0) << "byte " << at;
    }
  }
  for (size_t size = 0; size < mask.size(); ++size) {
    test::WriteFile(prefix_ + ".mask", mask.substr(0, size));
    EXPECT_FALSE(ReadAll()) << size << " bytes";
  }
  test::WriteFile(prefix_ + ".mask", mask + '\1');
  EXPECT_FALSE(ReadAll());
}

TEST_F(TokenFileDamageTest, MessagesOfTheMask) {
  const std::string head("EISMASK\0\1\0\0\0\0\0\0\0", 16);
  const std::string good = head + std::string(7, '\1');
  const auto expect = [&](const std::string& mask, const std::string& message) {
    test::WriteFile(prefix_ + ".mask", mask);
    EXPECT_THAT(TokenFile::Open(prefix_),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         prefix_ + ".mask: " + message));
  };
  expect("EIS", "has 3 bytes, a header has 16");
  expect("X" + good.substr(1), "begins with \"XISMASK\\x00\"");
  expect(std::string(good).replace(8, 1, "\2"), "version 2 is not 1");
  expect(std::string(good).replace(12, 1, "\2"), "has 2 where version 1 has 0");
  expect(good + "\1", "is of 8 tokens, but " + prefix_ + ".bin has 7");
  expect(std::string(good).replace(20, 1, "\3"), "has 3 for token 4; a token");
  // A mask that went is not one that never was.
  std::filesystem::remove(prefix_ + ".mask");
  std::filesystem::create_symlink("nowhere", prefix_ + ".mask");
  EXPECT_THAT(TokenFile::Open(prefix_),
              StatusIs(absl::StatusCode::kNotFound, prefix_ + ".mask"));
}

TEST_F(TokenFileDamageTest, MissingFilesAreNamed) {
  EXPECT_THAT(TokenFile::Open(folder_.File("none")),
              StatusIs(absl::StatusCode::kNotFound, folder_.File("none.idx")));
  std::filesystem::remove(prefix_ + ".bin");
  EXPECT_THAT(TokenFile::Open(prefix_),
              StatusIs(absl::StatusCode::kNotFound, prefix_ + ".bin"));
}

}  // namespace
}  // namespace eisbach::data::token_file_damage_test
