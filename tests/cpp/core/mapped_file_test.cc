#include "core/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>
#include <utility>
#include <vector>

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

// How many pages of these bytes the system has in its cache.
size_t PagesThere(const MappedFile& file) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> there((file.size() + page - 1) / page);
  EXPECT_EQ(
      mincore(const_cast<std::byte*>(file.data()), file.size(), there.data()),
      0);
  return std::count_if(there.begin(), there.end(),
                       [](unsigned char flags) { return (flags & 1) != 0; });
}

TEST(MappedFileTest, WhatIsAskedForComesWithoutBeingTouched) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), std::string((size_t{20} << 20) + 5, 'x'));
  const int fd = open(folder.File("x").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  ASSERT_EQ(fsync(fd), 0);
  ASSERT_EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
  close(fd);
  EISBACH_ASSERT_OK_AND_ASSIGN(const MappedFile file,
                               MappedFile::Open(folder.File("x")));
  const size_t before = PagesThere(file);  // all, of a file system in memory
  const std::span<const std::byte> all(file.data(), file.size());
  ReadSoon(all.subspan(0, 0));
  EXPECT_EQ(PagesThere(file), before);
  ReadSoon(all.subspan(1));
  const size_t pages = (file.size() + sysconf(_SC_PAGESIZE) - 1) /
                       static_cast<size_t>(sysconf(_SC_PAGESIZE));
  while (PagesThere(file) < pages) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
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
