#include "device/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/temp_folder.h"

namespace eisbach::machine_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

namespace fs = std::filesystem;

// A made-up /sys.
class MachineTest : public ::testing::Test {
 protected:
  std::string sys() const { return folder_.path(); }

  // A PCI device below the given bridges, "pci0000:15/0000:15:01.0".
  void AddDevice(const std::string& bridges, const std::string& pci, int node) {
    const fs::path path = fs::path(sys()) / "devices" / bridges / pci;
    Write(path / "numa_node", absl::StrCat(node));
    fs::create_directories(fs::path(sys()) / "bus/pci/devices");
    fs::create_directory_symlink(path,
                                 fs::path(sys()) / "bus/pci/devices" / pci);
  }
  void AddInfiniBand(const std::string& name, const std::string& pci,
                     const std::string& rate, const std::string& state) {
    const fs::path entry = fs::path(sys()) / "class/infiniband" / name;
    Write(entry / "ports/1/rate", rate);
    Write(entry / "ports/1/state", state);
    Link(entry, pci);
  }
  void AddEthernet(const std::string& name, const std::string& pci) {
    const fs::path entry = fs::path(sys()) / "class/net" / name;
    Write(entry / "operstate", "up");
    Write(entry / "speed", "100000");
    if (!pci.empty()) Link(entry, pci);
  }
  void AddNode(int node, const std::string& cores) {
    Write(absl::StrCat(sys(), "/devices/system/node/node", node, "/cpulist"),
          cores);
  }
  std::vector<std::string> NamesNear(absl::string_view pci) {
    std::vector<std::string> names;
    for (const auto& one : AdaptersNear(sys(), pci)) names.push_back(one.name);
    return names;
  }

 private:
  static void Write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    test::WriteFile(path, text + "\n");
  }
  void Link(const fs::path& entry, const std::string& pci) {
    fs::create_directory_symlink(
        fs::canonical(fs::path(sys()) / "bus/pci/devices" / pci),
        entry / "device");
  }

  test::TempFolder folder_;
};

TEST_F(MachineTest, AdaptersBelowTheSameSwitchAreNear) {
  AddDevice("pci0000:15/0000:15:01.0/0000:16:00.0", "0000:18:00.0", 0);
  AddDevice("pci0000:15/0000:15:01.0/0000:16:00.0", "0000:17:00.0", 0);
  AddDevice("pci0000:15/0000:15:05.0", "0000:19:00.0", 0);
  AddDevice("pci0000:85/0000:85:01.0", "0000:86:00.0", 1);
  AddDevice("pci0000:95/0000:95:01.0", "0000:96:00.0", 1);
  AddInfiniBand("mlx5_0", "0000:17:00.0", "400 Gb/sec (4X NDR)", "4: ACTIVE");
  AddInfiniBand("mlx5_1", "0000:19:00.0", "400 Gb/sec (4X NDR)", "4: ACTIVE");
  AddInfiniBand("mlx5_2", "0000:86:00.0", "200 Gb/sec (4X HDR)", "1: DOWN");
  AddEthernet("eth0", "0000:19:00.0");
  EXPECT_THAT(NamesNear("00000000:18:00.0"), ElementsAre("mlx5_0"));
  // No bridge in common: the NUMA node decides.
  EXPECT_THAT(NamesNear("0000:96:00.0"), ElementsAre("mlx5_2"));
  EXPECT_THAT(NamesNear(""), ElementsAre("mlx5_0", "mlx5_1", "mlx5_2"));
  EXPECT_EQ(AdaptersNear(sys(), "")[0].gigabytes, 50);
  EXPECT_EQ(AdaptersNear(sys(), "")[2].gigabytes, 0);
  EXPECT_EQ(NumaNodeOf(sys(), "0000:96:00.0"), 1);
}

TEST_F(MachineTest, EthernetServesWhereThereIsNothingElse) {
  AddDevice("pci0000:15", "0000:19:00.0", 0);
  AddEthernet("eth0", "0000:19:00.0");
  AddEthernet("docker0", "");  // no hardware behind it
  EXPECT_THAT(NamesNear(""), ElementsAre("eth0"));
  EXPECT_EQ(AdaptersNear(sys(), "")[0].gigabytes, 12.5);
}

TEST_F(MachineTest, WhatIsNotToldIsEmpty) {
  EXPECT_THAT(NamesNear("0000:18:00.0"), IsEmpty());
  EXPECT_EQ(NumaNodeOf(sys(), "0000:18:00.0"), -1);
  EXPECT_TRUE(CoresOfNode(sys(), 0).none());
  EXPECT_FALSE(BindToNode(sys(), -1));
  EXPECT_FALSE(BindToNode(sys(), 0));
}

TEST_F(MachineTest, BindsToThoseOfItsCoresThatAreNear) {
  const CoreSet before = UsableCores();
  size_t first = 0;
  while (!before[first]) ++first;
  AddNode(0, absl::StrCat(first));
  AddNode(1, CoresText(before));
  AddNode(2, CoresText(~before));
  EXPECT_FALSE(BindToNode(sys(), 1));  // nothing to do
  EXPECT_FALSE(BindToNode(sys(), 2));  // the launcher has said otherwise
  EXPECT_EQ(UsableCores(), before);
  EXPECT_EQ(BindToNode(sys(), 0), before.count() > 1);
  EXPECT_EQ(CoresText(UsableCores()), absl::StrCat(first));
  UseCores(before);
}

TEST(CoresTest, AreWrittenLikeSysfsDoes) {
  EXPECT_EQ(CoresText(ParseCores("0-3,8,10-11")), "0-3,8,10-11");
  EXPECT_EQ(ParseCores("0-3,8").count(), 5);
  EXPECT_EQ(CoresText({}), "");
  EXPECT_TRUE(ParseCores("x").none());
  EXPECT_EQ(ParseCores("1020-5000").count(), 4);
}

TEST(PciAddressTest, IsSpelledLikeSysfs) {
  EXPECT_EQ(PciAddress("00000000:1B:00.0"), "0000:1b:00.0");
  EXPECT_EQ(PciAddress("0000:1b:00.0"), "0000:1b:00.0");
  EXPECT_EQ(PciAddress("00010000:01:00.0"), "10000:01:00.0");
}

}  // namespace
}  // namespace eisbach::machine_test
