#include "core/atomic_file.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach {
namespace {

TEST(AtomicFileTest, AppearsWithCommit) {
  test::TempFolder folder;
  const std::string path = folder.File("x");
  test::WriteFile(path, "old");
  EISBACH_ASSERT_OK_AND_ASSIGN(std::unique_ptr<AtomicFile> file,
                               AtomicFile::Create(path));
  EISBACH_ASSERT_OK(file->Write("hello "));
  EISBACH_ASSERT_OK(file->Write("world"));
  EXPECT_EQ(file->bytes_written(), 11u);
  EXPECT_EQ(test::ReadFile(path), "old");
  EISBACH_ASSERT_OK(file->Commit());
  EXPECT_EQ(test::ReadFile(path), "hello world");
  file.reset();
  EXPECT_EQ(test::ReadFile(path), "hello world");
  EXPECT_EQ(folder.Entries(), 1);
}

TEST(AtomicFileTest, LeavesNothingWithoutCommit) {
  test::TempFolder folder;
  EISBACH_ASSERT_OK_AND_ASSIGN(std::unique_ptr<AtomicFile> file,
                               AtomicFile::Create(folder.File("x")));
  EISBACH_ASSERT_OK(file->Write("half"));
  EXPECT_EQ(folder.Entries(), 1);
  file.reset();
  EXPECT_EQ(folder.Entries(), 0);
}

TEST(AtomicFileTest, PiecesOfAllSizesKeepTheirOrder) {
  test::TempFolder folder;
  EISBACH_ASSERT_OK_AND_ASSIGN(std::unique_ptr<AtomicFile> file,
                               AtomicFile::Create(folder.File("x")));
  std::string expected;
  for (size_t bytes : {size_t{3}, size_t{1} << 20, size_t{5}, size_t{3} << 20,
                       size_t{0}, size_t{700000}, size_t{700000}, size_t{1}}) {
    std::string piece(bytes, 'a');
    for (size_t i = 0; i < bytes; ++i)
      piece[i] = static_cast<char>(i * 31 + bytes);
    expected += piece;
    EISBACH_ASSERT_OK(file->Write(piece));
  }
  EISBACH_ASSERT_OK(file->Commit());
  EXPECT_TRUE(test::ReadFile(folder.File("x")) == expected);
}

TEST(AtomicFileTest, TwoWritersDoNotMix) {
  test::TempFolder folder;
  const std::string path = folder.File("x");
  EISBACH_ASSERT_OK_AND_ASSIGN(std::unique_ptr<AtomicFile> a,
                               AtomicFile::Create(path));
  EISBACH_ASSERT_OK_AND_ASSIGN(std::unique_ptr<AtomicFile> b,
                               AtomicFile::Create(path));
  EISBACH_ASSERT_OK(a->Write("aaaa"));
  EISBACH_ASSERT_OK(b->Write("bb"));
  EISBACH_ASSERT_OK(a->Commit());
  EXPECT_EQ(test::ReadFile(path), "aaaa");
  EISBACH_ASSERT_OK(b->Commit());
  EXPECT_EQ(test::ReadFile(path), "bb");
}

TEST(AtomicFileTest, MissingFolderIsAnError) {
  test::TempFolder folder;
  EXPECT_THAT(AtomicFile::Create(folder.File("no/x")),
              test::StatusIs(absl::StatusCode::kNotFound, "no/x"));
}

}  // namespace
}  // namespace eisbach
