#include "core/mapped_file.h"

#include <gtest/gtest.h>

#include <utility>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::mapped_file_test {
namespace {

using test::StatusIs;

TEST(MappedFileTest, HoldsTheBytes) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), absl::string_view("ab\0cd\1\2\3\4", 9));
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  EXPECT_EQ(file.size(), 9u);
  EXPECT_EQ(file.path(), folder.File("x"));
  EXPECT_EQ(file.Load<char>(1), 'b');
  EXPECT_EQ(file.Load<uint32_t>(5), 0x04030201u);  // at an odd offset

  const MappedFile moved = std::move(file);
  EXPECT_EQ(moved.Load<char>(4), 'd');
}

TEST(MappedFileTest, OutlivesTheName) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), "old");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  std::filesystem::remove(folder.File("x"));
  test::WriteFile(folder.File("x"), "new");
  EXPECT_EQ(file.Load<char>(0), 'o');
}

TEST(MappedFileTest, WhatWasReleasedIsReadAgain) {
  test::TempFolder folder;
  const std::string text(20'000, 'x');
  test::WriteFile(folder.File("x"), text + "y");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  EXPECT_EQ(file.Load<char>(12'000), 'x');
  file.Release(1, 20'000);
  EXPECT_EQ(file.Load<char>(12'000), 'x');
  EXPECT_EQ(file.Load<char>(20'000), 'y');
  file.Release(5, 10);  // of no whole page
  EXPECT_EQ(file.Load<char>(5), 'x');
}

TEST(MappedFileTest, EmptyFileIsFine) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), "");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file,
                               MappedFile::Open(folder.File("x")));
  EXPECT_EQ(file.size(), 0u);
}

TEST(MappedFileTest, SaysWhatIsWrong) {
  test::TempFolder folder;
  EXPECT_THAT(MappedFile::Open(folder.File("none")),
              StatusIs(absl::StatusCode::kNotFound, folder.File("none")));
  EXPECT_THAT(
      MappedFile::Open(folder.path()),
      StatusIs(absl::StatusCode::kInvalidArgument, "not a regular file"));
}

TEST(MappedFileTest, SaysThatTheFileWasChanged) {
  test::TempFolder folder;
  const std::string path = folder.File("x");
  test::WriteFile(path, "0123456789");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file, MappedFile::Open(path));
  EISBACH_EXPECT_OK(file.CheckWhole());
  // In place: the rest of the page reads as zeros.
  std::filesystem::resize_file(path, 4);
  EXPECT_EQ(file.Load<char>(5), '\0');
  EXPECT_THAT(file.CheckWhole(),
              StatusIs(absl::StatusCode::kOutOfRange,
                       absl::StrCat(path,
                                    " ends at byte 4, it had 10 bytes "
                                    "when it was opened")));
  std::filesystem::resize_file(path, 11);
  EXPECT_FALSE(file.CheckWhole().ok());
}

TEST(MappedFileTest, AnotherFileOfThatNameLeavesItAsItIs) {
  test::TempFolder folder;
  const std::string path = folder.File("x");
  test::WriteFile(path, "0123456789");
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file, MappedFile::Open(path));
  test::WriteFile(folder.File("y"), "short");
  std::filesystem::rename(folder.File("y"), path);
  EISBACH_EXPECT_OK(file.CheckWhole());
  EXPECT_EQ(file.Load<char>(5), '5');
  std::filesystem::remove(path);
  EISBACH_EXPECT_OK(file.CheckWhole());
}

}  // namespace
}  // namespace eisbach::mapped_file_test
