#include "core/regular_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>

#include "core/errno_status.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::regular_file_test {
namespace {

using test::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// None of these may keep the reader waiting, or be taken for a file.
TEST(RegularFileTest, NothingElseIsOpened) {
  test::TempFolder folder;
  const std::string fifo = folder.File("fifo");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(RegularFile::Open(fifo),
              StatusIs(kInvalid, fifo + " is a FIFO, not a regular file"));
  EXPECT_THAT(RegularFile::Open(folder.path()),
              StatusIs(kInvalid, " is a folder, not a regular file"));
  EXPECT_THAT(RegularFile::Open("/dev/zero"),
              StatusIs(kInvalid, "/dev/zero is a device"));
  const std::string name = folder.File("socket");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(name.size(), sizeof(address.sun_path));
  std::strcpy(address.sun_path, name.c_str());
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(
      bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
      0);
  EXPECT_THAT(RegularFile::Open(name),
              StatusIs(kInvalid, name + " is a socket, not a regular file"));
  close(listener);
}

TEST(RegularFileTest, LinksLeadToTheFileOrToAnError) {
  test::TempFolder folder;
  test::WriteFile(folder.File("a"), "text");
  std::filesystem::create_symlink("a", folder.File("link"));
  EISBACH_ASSERT_OK_AND_ASSIGN(const std::string text,
                               ReadWholeFile(folder.File("link"), 4));
  EXPECT_EQ(text, "text");
  std::filesystem::create_symlink("loop", folder.File("loop"));
  EXPECT_EQ(ErrnoOf(RegularFile::Open(folder.File("loop")).status()), ELOOP);
  std::filesystem::create_symlink("nowhere", folder.File("dangling"));
  EXPECT_THAT(RegularFile::Open(folder.File("dangling")),
              StatusIs(absl::StatusCode::kNotFound, folder.File("dangling")));
}

TEST(RegularFileTest, ReadsAnyPart) {
  test::TempFolder folder;
  test::WriteFile(folder.File("a"), "0123456789");
  EISBACH_ASSERT_OK_AND_ASSIGN(const RegularFile file,
                               RegularFile::Open(folder.File("a")));
  EXPECT_EQ(file.size(), 10u);
  std::array<char, 4> part;
  const auto bytes = std::as_writable_bytes(std::span(part));
  EISBACH_ASSERT_OK(file.ReadAt(5, bytes));
  EXPECT_EQ(std::string(part.data(), part.size()), "5678");
  EISBACH_ASSERT_OK(file.ReadAt(99, bytes.subspan(0, 0)));
  EXPECT_THAT(file.ReadAt(8, bytes),
              StatusIs(absl::StatusCode::kOutOfRange,
                       file.path() + " ends at byte 10, it had 10 bytes"));
  std::filesystem::resize_file(folder.File("a"), 3);
  EXPECT_THAT(file.ReadAt(0, bytes),
              StatusIs(absl::StatusCode::kOutOfRange,
                       file.path() + " ends at byte 3, it had 10 bytes"));
}

TEST(RegularFileTest, ALargeFileIsRefusedBeforeItIsRead) {
  test::TempFolder folder;
  const std::string path = folder.File("a");
  test::WriteFile(path, "");
  std::filesystem::resize_file(path, uintmax_t{1} << 42);  // sparse
  EXPECT_THAT(ReadWholeFile(path, 1000),
              StatusIs(kInvalid, path + " has 4398046511104 bytes; at most "
                                        "1000 are read"));
}

}  // namespace
}  // namespace eisbach::regular_file_test
