#include "core/host_memory.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temp_folder.h"

namespace eisbach::host_memory_test {
namespace {

namespace fs = std::filesystem;

// A made-up /.
class HostMemoryTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const fs::path whole = root_.path() + path;
    fs::create_directories(whole.parent_path());
    test::WriteFile(whole, text);
  }
  int64_t Memory() { return HostMemory(root_.path()); }

  test::TempFolder root_;
};

TEST_F(HostMemoryTest, IsThatOfTheHost) {
  EXPECT_EQ(Memory(), 0);
  Write("/proc/meminfo",
        "MemTotal:       24610544 kB\nMemFree:         1000000 kB\n");
  EXPECT_EQ(Memory(), int64_t{24610544} * 1024);
}

TEST_F(HostMemoryTest, AGroupMayHaveLess) {
  Write("/proc/meminfo", "MemTotal:        8388608 kB\n");
  Write("/proc/self/cgroup", "0::/pods/train\n");
  Write("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  Write("/sys/fs/cgroup/pods/train/memory.max", "max\n");
  Write("/sys/fs/cgroup/pods/memory.max", "4294967296\n");
  EXPECT_EQ(Memory(), int64_t{4} << 30);
}

TEST_F(HostMemoryTest, NoLimitOfVersion1IsMoreThanThereIs) {
  Write("/proc/meminfo", "MemTotal:        8388608 kB\n");
  Write("/proc/self/cgroup", "4:memory:/train\n3:cpu:/\n");
  Write("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  Write("/sys/fs/cgroup/memory/train/memory.limit_in_bytes",
        "9223372036854771712\n");
  EXPECT_EQ(Memory(), int64_t{8} << 30);
  Write("/sys/fs/cgroup/memory/train/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(Memory(), int64_t{1} << 30);
}

TEST(HostMemory, ThisMachineHasSome) { EXPECT_GT(HostMemory(), 1 << 20); }

}  // namespace
}  // namespace eisbach::host_memory_test
