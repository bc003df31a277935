#include "comm/mpi/stale_segments.h"

#include <gtest/gtest.h>
#include <utime.h>

#include <ctime>
#include <filesystem>
#include <fstream>

namespace eisbach::comm::stale_segments_test {
namespace {

namespace fs = std::filesystem;

class StaleSegmentsTest : public testing::Test {
 protected:
  StaleSegmentsTest()
      : root_(fs::path(testing::TempDir()) /
              ("stale_segments_" + std::to_string(getpid()))) {
    fs::create_directories(shm());
    fs::create_directories(proc() + "/7");
    fs::create_directories(proc() + "/self");
  }
  ~StaleSegmentsTest() override { fs::remove_all(root_); }

  std::string shm() const { return (root_ / "shm").string(); }
  std::string proc() const { return (root_ / "proc").string(); }

  std::string Make(const std::string& name, int age) {
    const std::string path = shm() + "/" + name;
    std::ofstream(path) << "x";
    const utimbuf times{std::time(nullptr) - age, std::time(nullptr) - age};
    utime(path.c_str(), &times);
    return path;
  }
  void Map(const std::string& pid, const std::string& path) {
    std::ofstream(proc() + "/" + pid + "/maps", std::ios::app)
        << "7f00-7f01 r-xp 00000000 08:01 12 /lib/libc.so.6\n"
        << "7f10-7f20 rw-s 00000000 00:17 34                 " << path << "\n"
        << "7ffd-7ffe rw-p 00000000 00:00 0 [stack]\n";
  }

  const fs::path root_;
};

TEST_F(StaleSegmentsTest, RemovesWhatIsOldAndUnused) {
  const std::string dead = Make("sm_segment.host.0.aa.0", 100);
  const std::string used = Make("sm_segment.host.0.bb.0", 100);
  const std::string fresh = Make("sm_segment.host.0.cc.0", 0);
  const std::string other = Make("someone_else", 100);
  Map("7", used);
  RemoveStaleSegments(shm(), proc(), 60);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(used));
  EXPECT_TRUE(fs::exists(fresh));
  EXPECT_TRUE(fs::exists(other));
}

TEST_F(StaleSegmentsTest, ListsWhatAProcessHasMapped) {
  const std::string used = Make("sm_segment.host.0.bb.0", 0);
  Map("self", used);
  EXPECT_EQ(MappedSegments(proc(), "self"), std::vector<std::string>{used});
  EXPECT_TRUE(MappedSegments(proc(), "12345").empty());
}

TEST_F(StaleSegmentsTest, AMissingFolderIsNothingToDo) {
  RemoveStaleSegments(shm() + "/none", proc(), 0);
  RemoveStaleSegments(shm(), proc() + "/none", 0);
}

}  // namespace
}  // namespace eisbach::comm::stale_segments_test
