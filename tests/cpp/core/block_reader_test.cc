#include "core/block_reader.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/direct_io.h"
#include "core/errno_status.h"
#include "core/threads.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace {

// What the disk of the tests below does with reads.
struct Disk {
  std::atomic<int64_t> broken_from{INT64_MAX};  // byte of a file
  std::atomic<size_t> most{SIZE_MAX};           // bytes of one read
  std::atomic<bool> only_cached{false};  // opens O_DIRECT, and reads not so
  std::atomic<int> direct{0};            // reads past the cache that worked
  std::atomic<int> cached{0};            // reads through it
} disk;

}  // namespace

// Of this program and the core, which find it before that of libc.
extern "C" ssize_t pread(int fd, void* data, size_t bytes, off_t at) {
  static auto* const real =
      reinterpret_cast<decltype(&::pread)>(dlsym(RTLD_NEXT, "pread"));
  if (at + static_cast<int64_t>(bytes) > disk.broken_from) {
    errno = EIO;
    return -1;
  }
  const bool direct = (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
  if (direct && disk.only_cached) {
    errno = EINVAL;
    return -1;
  }
  const ssize_t got = real(fd, data, std::min<size_t>(bytes, disk.most), at);
  if (got > 0) ++(direct ? disk.direct : disk.cached);
  return got;
}

namespace eisbach::block_reader_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Noise(size_t bytes) {
  std::string noise(bytes, 'a');
  for (size_t i = 0; i < bytes; ++i) {
    noise[i] = static_cast<char>(i * 2654435761u >> 13);
  }
  return noise;
}

std::string Text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class BlockReaderTest : public testing::Test {
 protected:
  ~BlockReaderTest() override {
    disk.broken_from = INT64_MAX;
    disk.most = SIZE_MAX;
    disk.only_cached = false;
  }
  RegularFile Make(const std::string& bytes) const {
    test::WriteFile(path_, bytes);
    return test::Value(RegularFile::Open(path_));
  }

  const test::TempFolder folder_;
  const std::string path_ = folder_.File("x");
};

TEST(CutBytesTest, LeavesNothingOut) {
  const auto lengths = [](uint64_t bytes, size_t most) {
    std::vector<size_t> found;
    uint64_t at = 0;
    for (const ByteRange& range : CutBytes(bytes, most)) {
      EXPECT_EQ(range.begin, at);
      at += range.bytes;
      found.push_back(range.bytes);
    }
    return found;
  };
  EXPECT_THAT(lengths(0, 4), ElementsAre());
  EXPECT_THAT(lengths(3, 4), ElementsAre(3));
  EXPECT_THAT(lengths(8, 4), ElementsAre(4, 4));
  EXPECT_THAT(lengths(9, 4), ElementsAre(4, 4, 1));
}

TEST_F(BlockReaderTest, GivesAndVisitsEachBlockOnceWhateverItsSize) {
  const std::string bytes = Noise(100'003);
  const RegularFile file = Make(bytes);
  for (const size_t most : {77, 4096, 99'999, 1'000'000}) {
    disk.most = most / 3 + 1;
    const std::vector<ByteRange> blocks = CutBytes(bytes.size(), most);
    std::vector<std::string> visited(blocks.size());
    BlockReader reader(file, blocks,
                       [&](size_t i, std::span<const std::byte> block) {
                         visited[i] += Text(block);
                       });
    for (size_t i = 0; i < blocks.size(); ++i) {
      EISBACH_ASSERT_OK_AND_ASSIGN(const std::span<const std::byte> block,
                                   reader.Next());
      const std::string want = bytes.substr(blocks[i].begin, most);
      ASSERT_TRUE(Text(block) == want) << most;
      ASSERT_TRUE(visited[i] == want) << most;
    }
  }
}

TEST_F(BlockReaderTest, BlocksMayLieAnywhere) {
  const std::string bytes = Noise(1000);
  const RegularFile file = Make(bytes);
  const ByteRange blocks[] = {{900, 100}, {3, 1}, {500, 0}, {0, 10}, {5, 700}};
  BlockReader reader(file, blocks);
  for (const ByteRange& block : blocks) {
    EISBACH_ASSERT_OK_AND_ASSIGN(const std::span<const std::byte> read,
                                 reader.Next());
    EXPECT_EQ(Text(read), bytes.substr(block.begin, block.bytes));
  }
  BlockReader none(file, {});
}

class BlockReaderPastTheCacheTest : public BlockReaderTest {
 protected:
  BlockReaderPastTheCacheTest() {
    disk.direct = disk.cached = 0;
    const int direct = OpenDirect(file_.fd());
    known_ = direct >= 0;
    if (known_) close(direct);
  }
  // All blocks, wherever they begin and end.
  void Read() const {
    const std::vector<ByteRange> blocks = {
        {0, 100},    {100, 3996}, {4096, 8192}, {5, 40'000},
        {99'999, 4}, {0, kBytes}, {4095, 4098}};
    BlockReader reader(file_, blocks, nullptr, PageCache::kPass);
    for (const ByteRange& block : blocks) {
      EISBACH_ASSERT_OK_AND_ASSIGN(const std::span<const std::byte> read,
                                   reader.Next());
      EXPECT_TRUE(Text(read) == bytes_.substr(block.begin, block.bytes))
          << block.begin;
    }
  }

  static constexpr size_t kBytes = 100'003;
  const std::string bytes_ = Noise(kBytes);
  const RegularFile file_ = Make(bytes_);
  bool known_;  // whether the file system knows such reads
};

TEST_F(BlockReaderPastTheCacheTest, GivesTheSameBytes) {
  Read();
  EXPECT_EQ(disk.direct, known_ ? 7 : 0);
  EXPECT_EQ(disk.cached, known_ ? 0 : 7);
}

TEST_F(BlockReaderPastTheCacheTest, GoesOnAfterAReadThatWasCutShort) {
  disk.most = kDirectAlignment;
  Read();
  EXPECT_GT(disk.direct + disk.cached, 40);
  EXPECT_EQ(disk.cached > 0, !known_);
  disk.most = 1000;  // from where it would be aligned to nothing
  Read();
  EXPECT_GT(disk.cached, 150);
}

TEST_F(BlockReaderPastTheCacheTest, ReadsPlainlyWhereOpeningWasAllThatWorked) {
  disk.only_cached = true;
  Read();
  EXPECT_EQ(disk.direct, 0);
  EXPECT_EQ(disk.cached, 7);
}

TEST_F(BlockReaderPastTheCacheTest, ErrorsAreThoseOfOtherReads) {
  disk.broken_from = 50'000;
  const std::vector<ByteRange> blocks = CutBytes(kBytes, 10'000);
  BlockReader reader(file_, blocks, nullptr, PageCache::kPass);
  for (int i = 0; i < 4; ++i) EISBACH_ASSERT_OK(reader.Next().status());
  absl::Status broken = reader.Next().status();  // its last page is broken
  if (broken.ok()) broken = reader.Next().status();
  EXPECT_THAT(broken.message(), HasSubstr(absl::StrCat("read ", path_)));
  EXPECT_EQ(ErrnoOf(broken), EIO);
}

TEST_F(BlockReaderTest, ReadsAheadAndNoFurther) {
  const RegularFile file = Make(Noise(100));
  const std::vector<ByteRange> blocks = CutBytes(100, 1);
  const int before = ComputeThreads();
  SetComputeThreads(1);
  std::atomic<size_t> visited{0};
  BlockReader reader(file, blocks,
                     [&](size_t, std::span<const std::byte>) { ++visited; });
  const auto wait_for = [&](size_t count) {
    while (visited < count) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(visited, count);
  };
  wait_for(4);  // two for each of two threads
  EISBACH_ASSERT_OK(reader.Next().status());
  wait_for(4);  // the first is still in use
  EISBACH_ASSERT_OK(reader.Next().status());
  wait_for(5);
  SetComputeThreads(before);
}

TEST_F(BlockReaderTest, AnErrorNamesFileAndByteOfTheFirstThatFails) {
  const RegularFile file = Make(Noise(1000));
  const std::vector<ByteRange> blocks = CutBytes(1000, 10);
  disk.broken_from = 555;
  std::atomic<size_t> visited{0};
  BlockReader reader(file, blocks,
                     [&](size_t, std::span<const std::byte>) { ++visited; });
  for (int i = 0; i < 55; ++i) EISBACH_ASSERT_OK(reader.Next().status());
  const absl::Status broken = reader.Next().status();
  EXPECT_THAT(broken.message(),
              HasSubstr(absl::StrCat("read ", path_, " at byte 550")));
  EXPECT_EQ(ErrnoOf(broken), EIO);
  EXPECT_EQ(visited, 55u);
}

TEST_F(BlockReaderTest, AFileThatBecomesShorterIsAnError) {
  const RegularFile file = Make(Noise(64 << 12));
  const std::vector<ByteRange> blocks = CutBytes(64 << 12, 1 << 12);
  BlockReader reader(file, blocks);
  EISBACH_ASSERT_OK(reader.Next().status());
  std::filesystem::resize_file(path_, 100);
  absl::Status status;
  for (size_t i = 1; i < blocks.size() && status.ok(); ++i) {
    status = reader.Next().status();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kOutOfRange,
                               "it had 262144 bytes when it was opened"));
  EXPECT_THAT(status.message(), HasSubstr(path_));
}

}  // namespace
}  // namespace eisbach::block_reader_test
