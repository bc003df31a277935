#include "core/atomic_file.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "core/errno_status.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace {

// What the file system of the tests below does with writes past the cache.
struct PastCache {
  bool refuses = false;
  int taken = 0;    // writes
  int aligned = 0;  // of them
  size_t most = 0;  // bytes of the first that are taken; 0: all
} past_cache;

}  // namespace

// Of this program and the core, which find it before that of libc.
extern "C" ssize_t write(int fd, const void* data, size_t bytes) {
  static auto* const real =
      reinterpret_cast<decltype(&::write)>(dlsym(RTLD_NEXT, "write"));
  if ((fcntl(fd, F_GETFL) & O_DIRECT) == 0) return real(fd, data, bytes);
  if (past_cache.refuses) {
    errno = EINVAL;
    return -1;
  }
  ++past_cache.taken;
  past_cache.aligned +=
      bytes % 4096 == 0 && reinterpret_cast<uintptr_t>(data) % 4096 == 0;
  if (past_cache.most > 0) {
    bytes = std::min(bytes, std::exchange(past_cache.most, 0));
  }
  return real(fd, data, bytes);
}

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
                       size_t{0}, size_t{700000}, size_t{700000}, size_t{1},
                       size_t{5} << 20, size_t{4} << 20, size_t{2}}) {
    std::string piece(bytes, 'a');
    for (size_t i = 0; i < bytes; ++i)
      piece[i] = static_cast<char>(i * 31 + bytes);
    expected += piece;
    EISBACH_ASSERT_OK(file->Write(piece));
  }
  EISBACH_ASSERT_OK(file->Commit());
  EXPECT_TRUE(test::ReadFile(folder.File("x")) == expected);
}

// Whether files there can be written past the page cache.
bool Knows(const test::TempFolder& folder) {
  const int fd = open(folder.File("probe").c_str(),
                      O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  std::filesystem::remove(folder.File("probe"));
  return fd >= 0;
}

std::string Noise(size_t bytes) {
  std::string noise(bytes, 'a');
  for (size_t i = 0; i < bytes; ++i) {
    noise[i] = static_cast<char>(i * i * 31 >> 7);
  }
  return noise;
}

TEST(AtomicFileTest, WhatIsLongGoesPastThePageCache) {
  test::TempFolder folder;
  const std::string bytes = Noise((size_t{9} << 20) + 77);
  past_cache = {};
  EISBACH_ASSERT_OK(WriteFileAtomically(folder.File("x"), bytes));
  EXPECT_TRUE(test::ReadFile(folder.File("x")) == bytes);
  EXPECT_EQ(past_cache.taken, Knows(folder) ? 2 : 0);
  EXPECT_EQ(past_cache.aligned, past_cache.taken);
  past_cache = {};
  EISBACH_ASSERT_OK(WriteFileAtomically(folder.File("x"), Noise(5000)));
  EXPECT_EQ(past_cache.taken, 0);
}

TEST(AtomicFileTest, AFileSystemMayRefuseToGoPastTheCache) {
  test::TempFolder folder;
  const std::string bytes = Noise((size_t{9} << 20) + 77);
  past_cache = {.refuses = true};
  EISBACH_EXPECT_OK(WriteFileAtomically(folder.File("x"), bytes));
  EXPECT_TRUE(test::ReadFile(folder.File("x")) == bytes);
  // Also in the middle of it, after part of a block.
  past_cache = {.most = 512};
  EISBACH_EXPECT_OK(WriteFileAtomically(folder.File("x"), bytes));
  EXPECT_TRUE(test::ReadFile(folder.File("x")) == bytes);
  past_cache = {};
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
