#include "core/cpu_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "support/temp_folder.h"

namespace eisbach::cpu_cache_test {
namespace {

void Write(const std::string& folder, int index, const char* level,
           const char* size) {
  const std::string path = absl::StrCat(folder, "/index", index);
  std::filesystem::create_directory(path);
  std::ofstream(path + "/level") << level << "\n";
  std::ofstream(path + "/size") << size << "\n";
}

TEST(LastLevelCacheBytesTest, IsTheHighestLevel) {
  const test::TempFolder folder;
  Write(folder.path(), 0, "1", "64K");
  Write(folder.path(), 1, "1", "64K");
  Write(folder.path(), 2, "3", "116736K");
  Write(folder.path(), 3, "2", "1M");
  EXPECT_EQ(LastLevelCacheBytes(folder.path()), int64_t{116736} << 10);
}

TEST(LastLevelCacheBytesTest, IsZeroWhereNothingIsTold) {
  const test::TempFolder folder;
  EXPECT_EQ(LastLevelCacheBytes(folder.path()), 0);
  EXPECT_EQ(LastLevelCacheBytes(folder.path() + "/nothing"), 0);
}

TEST(LastLevelCacheBytesTest, IsWhatTheCLibraryKnows) {
  if (const int64_t known = sysconf(_SC_LEVEL3_CACHE_SIZE); known > 0) {
    EXPECT_EQ(LastLevelCacheBytes(), known);
  } else {
    EXPECT_EQ(LastLevelCacheBytes(),
              LastLevelCacheBytes("/sys/devices/system/cpu/cpu0/cache"));
  }
}

}  // namespace
}  // namespace eisbach::cpu_cache_test
