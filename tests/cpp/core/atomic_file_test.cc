#include "core/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "core/errno_status.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::atomic_file_test {
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
  const absl::Status status = AtomicFile::Create(folder.File("no/x")).status();
  EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kNotFound, "no/x"));
  EXPECT_EQ(ErrnoOf(status), ENOENT);
}

std::string OnlyEntry(const test::TempFolder& folder) {
  EXPECT_EQ(folder.Entries(), 1);
  return std::filesystem::directory_iterator(folder.path())
      ->path()
      .filename()
      .string();
}

TEST(AtomicFileTest, ScratchNamesCannotBeGuessed) {
  std::set<std::string> names;
  for (int i = 0; i < 20; ++i) {
    test::TempFolder folder;
    EISBACH_ASSERT_OK_AND_ASSIGN(std::unique_ptr<AtomicFile> file,
                                 AtomicFile::Create(folder.File("x")));
    names.insert(OnlyEntry(folder));
  }
  EXPECT_EQ(names.size(), 20u);
}

TEST(AtomicFileTest, ReplacesALinkAndLeavesWhatItPointsTo) {
  test::TempFolder folder;
  test::WriteFile(folder.File("precious"), "mine");
  std::filesystem::create_symlink("precious", folder.File("x"));
  EISBACH_ASSERT_OK(WriteFileAtomically(folder.File("x"), "new"));
  EXPECT_EQ(test::ReadFile(folder.File("precious")), "mine");
  EXPECT_EQ(test::ReadFile(folder.File("x")), "new");
  EXPECT_FALSE(std::filesystem::is_symlink(folder.File("x")));
}

TEST(AtomicFileTest, IsForUserAndGroupAtMost) {
  test::TempFolder folder;
  for (mode_t mask : {0000, 0022, 0077}) {
    const mode_t before = umask(mask);
    const absl::Status written = WriteFileAtomically(folder.File("x"), "a");
    umask(before);
    EISBACH_ASSERT_OK(written);
    struct stat info;
    ASSERT_EQ(stat(folder.File("x").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0640u & ~mask);
  }
}

TEST(AtomicFileTest, ANameAsLongAsTheSystemAllows) {
  test::TempFolder folder;
  const std::string path = folder.File(std::string(255, 'n'));
  EISBACH_ASSERT_OK(WriteFileAtomically(path, "a"));
  EXPECT_EQ(test::ReadFile(path), "a");
}

TEST(AtomicFileTest, AFullDiskIsAnErrorOfTheFileAndLeavesTheOldOne) {
  test::TempFolder folder;
  test::WriteFile(folder.File("x"), "old");
  // A limit on the size of files is the full disk that a test can make.
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const absl::Status status =
      WriteFileAtomically(folder.File("x"), std::string(5000, 'a'));
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(ErrnoOf(status), EFBIG);
  EXPECT_THAT(std::string(status.message()),
              testing::HasSubstr(folder.File("x")));
  EXPECT_EQ(test::ReadFile(folder.File("x")), "old");
  EXPECT_EQ(folder.Entries(), 1);
}

}  // namespace
}  // namespace eisbach::atomic_file_test
