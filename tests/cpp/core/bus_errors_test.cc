#include "core/bus_errors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "core/mapped_file.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::bus_errors_test {
namespace {

const size_t kPage = static_cast<size_t>(sysconf(_SC_PAGESIZE));

// A file of three pages, mapped, of which the last two are then taken away.
class BusErrorsTest : public testing::Test {
 protected:
  BusErrorsTest() : path_(folder_.File("books.bin")) {
    testing::FLAGS_gtest_death_test_style = "fast";
    test::WriteFile(path_, std::string(3 * kPage, 'x'));
  }

  // Reads where nothing is any more.
  char ReadPast(const MappedFile& file) const {
    std::filesystem::resize_file(path_, kPage);
    return file.Load<char>(2 * kPage + 5);
  }

  test::TempFolder folder_;
  const std::string path_;
};
using BusErrorsDeathTest = BusErrorsTest;

TEST_F(BusErrorsDeathTest, NamesFileOffsetAndSizes) {
  EISBACH_ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::Open(path_));
  EXPECT_EXIT(
      exit(ReadPast(file)), testing::ExitedWithCode(1),
      absl::StrCat("^eisbach: error: ", path_, ": cannot be read at byte ", "(",
                   2 * kPage, "|", 2 * kPage + 5, "); it had ", 3 * kPage,
                   " bytes when it was opened and has ", kPage,
                   " now: was it cut short, or does its disk fail"));
}

TEST_F(BusErrorsDeathTest, NamesTheRank) {
  SetLogRank(7);
  EISBACH_ASSERT_OK_AND_ASSIGN(const MappedFile file, MappedFile::Open(path_));
  SetLogRank(-1);
  EXPECT_EXIT(exit(ReadPast(file)), testing::ExitedWithCode(1),
              absl::StrCat("error: rank 7: ", path_));
}

TEST_F(BusErrorsDeathTest, HoldsForAFileThatWasMoved) {
  EISBACH_ASSERT_OK_AND_ASSIGN(MappedFile file, MappedFile::Open(path_));
  const MappedFile moved = std::move(file);
  EXPECT_EXIT(exit(ReadPast(moved)), testing::ExitedWithCode(1), "books.bin");
}

// A mapping of `path` that nobody watches.
const char* MapUnwatched(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY);
  void* data = mmap(nullptr, 3 * kPage, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  return static_cast<const char*>(data);
}

TEST_F(BusErrorsDeathTest, OthersEndTheProcessAsBefore) {
  struct sigaction before;
  ASSERT_EQ(sigaction(SIGBUS, nullptr, &before), 0);
  signal(SIGBUS, SIG_DFL);
  // Watching begins with the first file, and goes on without one.
  EISBACH_ASSERT_OK(MappedFile::Open(path_).status());
  const char* data = MapUnwatched(path_);
  std::filesystem::resize_file(path_, kPage);
  EXPECT_EXIT(exit(data[2 * kPage]), testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(raise(SIGBUS), testing::KilledBySignal(SIGBUS), "");
  sigaction(SIGBUS, &before, nullptr);
}

void PlainHandler(int) {
  constexpr char kText[] = "the plain one\n";
  [[maybe_unused]] const ssize_t n =
      write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(5);
}
void FullHandler(int, siginfo_t* info, void*) {
  constexpr char kText[] = "the full one\n";
  [[maybe_unused]] const ssize_t n =
      write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(info->si_addr == nullptr ? 1 : 6);
}

TEST_F(BusErrorsDeathTest, HandlersThatWereThereGetWhatIsTheirs) {
  struct sigaction before;
  ASSERT_EQ(sigaction(SIGBUS, nullptr, &before), 0);
  const auto expect = [&](const struct sigaction& theirs, int code,
                          const char* text) {
    test::WriteFile(path_, std::string(3 * kPage, 'x'));
    ASSERT_EQ(sigaction(SIGBUS, &theirs, nullptr), 0);
    EISBACH_ASSERT_OK_AND_ASSIGN(const MappedFile file,
                                 MappedFile::Open(path_));
    const char* data = MapUnwatched(path_);
    EXPECT_EXIT(exit(ReadPast(file)), testing::ExitedWithCode(1), "books.bin");
    std::filesystem::resize_file(path_, kPage);
    EXPECT_EXIT(exit(data[2 * kPage]), testing::ExitedWithCode(code), text);
  };
  struct sigaction theirs = {};
  theirs.sa_handler = &PlainHandler;
  expect(theirs, 5, "the plain one");
  theirs.sa_sigaction = &FullHandler;
  theirs.sa_flags = SA_SIGINFO;
  expect(theirs, 6, "the full one");
  sigaction(SIGBUS, &before, nullptr);
}

}  // namespace
}  // namespace eisbach::bus_errors_test
