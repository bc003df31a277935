#include "core/cpu_quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/temp_folder.h"

namespace eisbach::cpu_quota_test {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A made-up /.
class CpuQuotaTest : public ::testing::Test {
 protected:
  void Write(const std::string& path, const std::string& text) {
    const fs::path whole = root_.path() + path;
    fs::create_directories(whole.parent_path());
    test::WriteFile(whole, text);
  }
  // Of the process: its line of /proc/self/cgroup, and what is mounted where.
  void Place(const std::string& line, const std::string& mounted,
             const std::string& type, const std::string& options) {
    Write("/proc/self/cgroup", "9:name=systemd:/\n" + line + "\n");
    Write("/proc/self/mountinfo",
          "23 1 0:5 / /proc rw - proc proc rw\n"
          "32 31 0:29 " +
              mounted + " rw,relatime shared:3 - " + type + " " + type + " " +
              options + "\n");
  }
  std::vector<double> Quotas() {
    std::vector<double> cores;
    for (const CpuQuota& quota : CpuQuotas(root_.path())) {
      cores.push_back(quota.cores);
    }
    return cores;
  }

  test::TempFolder root_;
};

TEST_F(CpuQuotaTest, AContainerOfVersion2SeesItsOwnGroupAlone) {
  Place("0::/", "/ /sys/fs/cgroup", "cgroup2", "rw");
  Write("/sys/fs/cgroup/cpu.max", "150000 100000\n");
  EXPECT_THAT(Quotas(), ElementsAre(1.5));
  Write("/sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_THAT(Quotas(), IsEmpty());
}

TEST_F(CpuQuotaTest, GroupsAboveCount) {
  Place("0::/pods/pod7/train", "/ /sys/fs/cgroup", "cgroup2", "rw,nsdelegate");
  Write("/sys/fs/cgroup/pods/pod7/train/cpu.max", "max 100000\n");
  Write("/sys/fs/cgroup/pods/pod7/cpu.max", "400000 100000\n");
  Write("/sys/fs/cgroup/pods/cpu.max", "600000 200000\n");
  Write("/sys/fs/cgroup/others/cpu.max", "10000 100000\n");
  EXPECT_THAT(Quotas(), ElementsAre(4, 3));
  EXPECT_EQ(LeastCpuQuota(CpuQuotas(root_.path())), 3);
}

TEST_F(CpuQuotaTest, Version1HasTwoFiles) {
  Place("4:cpu,cpuacct:/docker/a1", "/ /sys/fs/cgroup/cpu,cpuacct", "cgroup",
        "rw,cpu,cpuacct");
  const std::string top = "/sys/fs/cgroup/cpu,cpuacct";
  Write(top + "/docker/a1/cpu.cfs_quota_us", "250000\n");
  Write(top + "/docker/a1/cpu.cfs_period_us", "100000\n");
  Write(top + "/cpu.cfs_quota_us", "-1\n");
  Write(top + "/cpu.cfs_period_us", "100000\n");
  EXPECT_THAT(Quotas(), ElementsAre(2.5));
}

// The container's group is what is mounted, by a path of the host's.
TEST_F(CpuQuotaTest, APathOfAnotherNamespaceIsWhatIsMounted) {
  Place("4:cpu:/docker/a1", "/docker/a1 /sys/fs/cgroup/cpu", "cgroup",
        "rw,cpu");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_THAT(Quotas(), ElementsAre(0.5));
  Place("4:cpu:/../b2", "/ /sys/fs/cgroup/cpu", "cgroup", "rw,cpu");
  EXPECT_THAT(Quotas(), ElementsAre(0.5));
}

TEST_F(CpuQuotaTest, CpuacctAndCpusetAreNotCpu) {
  Place("4:cpuacct:/", "/ /sys/fs/cgroup/cpuacct", "cgroup", "rw,cpuacct");
  Write("/sys/fs/cgroup/cpuacct/cpu.cfs_quota_us", "50000\n");
  Write("/sys/fs/cgroup/cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_THAT(Quotas(), IsEmpty());
}

TEST_F(CpuQuotaTest, WhatCannotBeReadIsNoLimit) {
  EXPECT_THAT(Quotas(), IsEmpty());
  EXPECT_FALSE(LeastCpuQuota({}).has_value());
  Place("0::/", "/ /sys/fs/cgroup", "cgroup2", "rw");
  EXPECT_THAT(Quotas(), IsEmpty());
  for (const char* text : {"", "\n", "150000", "x y", "0 100000", "5 0"}) {
    Write("/sys/fs/cgroup/cpu.max", text);
    EXPECT_THAT(Quotas(), IsEmpty()) << text;
  }
}

TEST_F(CpuQuotaTest, AGroupHasANumberOfItsOwn) {
  Place("0::/a", "/ /sys/fs/cgroup", "cgroup2", "rw");
  Write("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  Write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  const std::vector<CpuQuota> here = CpuQuotas(root_.path());
  ASSERT_EQ(here.size(), 2);
  EXPECT_NE(here[0].group, here[1].group);
  EXPECT_EQ(CpuQuotas(root_.path())[0].group, here[0].group);
}

}  // namespace
}  // namespace eisbach::cpu_quota_test
