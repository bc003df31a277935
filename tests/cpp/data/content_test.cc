#include "data/content.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "absl/strings/str_replace.h"
#include "core/content_hash.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::content_test {
namespace {

using test::StatusIs;
using test::Value;

class ContentTest : public testing::Test {
 protected:
  // A file that has rested, as all but the newest have.
  void Write(const std::string& bytes) {
    test::WriteFile(path_, bytes);
    std::filesystem::last_write_time(
        path_, std::filesystem::last_write_time(path_) - std::chrono::hours(1));
  }
  FileContent Read() const { return Value(ReadContent(path_, cache_)); }
  int Memories() const {
    int count = 0;
    if (!std::filesystem::exists(cache_)) return 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(cache_)) {
      ++count;
    }
    return count;
  }
  // Replaces the hash in the one memory by another, which shows who uses it.
  void Forge() {
    const auto memory =
        std::filesystem::directory_iterator(cache_)->path().string();
    const std::string text = test::ReadFile(memory);
    test::WriteFile(
        memory, absl::StrReplaceAll(text, {{HashText(Read().hash), kForged}}));
  }

  static constexpr char kForged[] = "00000000000f0f0f";
  test::TempFolder folder_;
  const std::string path_ = folder_.File("books.bin");
  const std::string cache_ = folder_.File("cache/content");
};

TEST_F(ContentTest, IsThatOfTheBytesAlone) {
  Write("some text");
  const FileContent content = Read();
  EXPECT_EQ(content.bytes, 9u);
  const std::string other = folder_.File("moved");
  std::filesystem::copy(path_, other);
  EXPECT_EQ(Value(ReadContent(other, "")), content);
  Write("some tex.");
  EXPECT_NE(Read().hash, content.hash);
  Write("");
  EXPECT_EQ(Read().bytes, 0u);
}

// Every byte counts, and so does the order of the pieces.
TEST_F(ContentTest, HoldsForManyPieces) {
  std::string bytes((size_t{4} << 20) * 3 + 5, 'a');
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<char>(i * 2654435761u >> 29);
  }
  const auto hash = [&] {
    test::WriteFile(path_, bytes);
    return Value(ReadContent(path_, "")).hash;
  };
  const uint64_t whole = hash();
  EXPECT_EQ(hash(), whole);
  for (size_t at : {size_t{0}, size_t{4} << 20, bytes.size() - 1}) {
    bytes[at] ^= 1;
    EXPECT_NE(hash(), whole) << at;
    bytes[at] ^= 1;
  }
  std::swap_ranges(bytes.begin(), bytes.begin() + (4 << 20),
                   bytes.begin() + (4 << 20));
  EXPECT_NE(hash(), whole);
}

TEST_F(ContentTest, IsRememberedWhileTheFileRests) {
  Write("some text");
  const FileContent content = Read();
  EXPECT_EQ(Memories(), 1);
  EXPECT_EQ(Read(), content);
  Forge();
  EXPECT_EQ(HashText(Read().hash), kForged);
}

TEST_F(ContentTest, AnyChangeEndsTheMemory) {
  namespace fs = std::filesystem;
  const auto expect_read_anew = [&](const std::function<void()>& change) {
    Write("some text");
    Read();
    Forge();
    ASSERT_EQ(HashText(Read().hash), kForged);
    change();
    EXPECT_NE(HashText(Read().hash), kForged);
    fs::remove_all(cache_);
    fs::remove(path_);
  };
  // Other content of the same length, with the old time put back.
  expect_read_anew([&] {
    const auto time = fs::last_write_time(path_);
    test::WriteFile(path_, "some tex.");
    fs::last_write_time(path_, time);
  });
  expect_read_anew([&] { fs::resize_file(path_, 4); });
  expect_read_anew([&] {
    fs::last_write_time(
        path_, fs::last_write_time(path_) + std::chrono::milliseconds(1));
  });
  // Another file under the same name.
  expect_read_anew([&] {
    const auto time = fs::last_write_time(path_);
    test::WriteFile(folder_.File("new"), "some tex.");
    fs::last_write_time(folder_.File("new"), time);
    fs::rename(folder_.File("new"), path_);
  });
}

TEST_F(ContentTest, AFileThatIsBeingWrittenIsNotRemembered) {
  test::WriteFile(path_, "some text");
  Read();
  EXPECT_EQ(Memories(), 0);
}

TEST_F(ContentTest, ADamagedCacheIsAsGoodAsNone) {
  Write("some text");
  const FileContent content = Read();
  const auto memory =
      std::filesystem::directory_iterator(cache_)->path().string();
  const std::string text = test::ReadFile(memory);
  for (const std::string& damaged :
       {std::string(), text.substr(0, text.size() - 2), text + "x",
        std::string("\n\n\n"), std::string(100000, 'x')}) {
    test::WriteFile(memory, damaged);
    EXPECT_EQ(Read(), content);
  }
  std::filesystem::remove_all(cache_);
  test::WriteFile(folder_.File("cache/content"), "a file");
  EXPECT_EQ(Read(), content);
}

TEST_F(ContentTest, OtherThanFilesAreErrors) {
  EXPECT_THAT(ReadContent(folder_.File("none"), ""),
              StatusIs(absl::StatusCode::kNotFound, "none"));
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(ReadContent(path_, ""),
              StatusIs(absl::StatusCode::kInvalidArgument, "is a FIFO"));
}

}  // namespace
}  // namespace eisbach::data::content_test
