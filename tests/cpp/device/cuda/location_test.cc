#include "device/location.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::location_test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kCluster[] = "00112233445566778899aabbccddeeff";

// The GPUs of a made-up host, by the double of NVML.
class CudaLocationTest : public ::testing::Test {
 protected:
  // `more` describes every GPU; "#" in it is the number of the next one.
  std::vector<DeviceLocation> Locate(int gpus, const std::string& more) {
    std::string text;
    for (int gpu = 0; gpu < gpus; ++gpu) {
      absl::StrAppend(&text, Address(gpu), " uuid=GPU-", gpu, " ", more, "\n");
    }
    return LocateLines(gpus, text);
  }
  std::vector<DeviceLocation> LocateLines(int gpus, const std::string& text) {
    test::WriteFile(folder_.File("gpus"), text);
    setenv("EISBACH_NVML_DOUBLE", folder_.File("gpus").c_str(), 1);
    setenv("EISBACH_NVML_LIBRARY", std::getenv("EISBACH_CUDA_LIBRARY"), 1);
    return LocateGpus(gpus);
  }
  std::vector<DeviceLocation> LocateGpus(int gpus) {
    setenv("EISBACH_CUDA_DOUBLE_DEVICES", absl::StrCat(gpus).c_str(), 1);
    std::vector<DeviceLocation> found;
    for (int gpu = 0; gpu < gpus; ++gpu) {
      const auto device = test::Value(MakeDevice(DeviceType::kCuda, gpu));
      found.push_back(LocationOf(*device));
    }
    return found;
  }
  static std::string Address(int gpu) {
    return absl::StrCat("0000:0", gpu, ":00.0");
  }

 private:
  test::TempFolder folder_;
};

TEST_F(CudaLocationTest, Nvl72IsOneDomainAcrossHosts) {
  const auto at = Locate(4, absl::StrCat("pcie=6x16 links=18 mbps=50000 "
                                         "to=switch state=3 clique=32766 "
                                         "cluster=",
                                         kCluster));
  for (const DeviceLocation& gpu : at) {
    EXPECT_EQ(gpu.domain, absl::StrCat("fabric ", kCluster, " clique 32766"));
    EXPECT_TRUE(gpu.domain_spans_hosts);
    EXPECT_EQ(gpu.domain_link.name, "NVLink");
    EXPECT_EQ(gpu.domain_link.gigabytes, 900);
    EXPECT_EQ(gpu.host_link.name, "PCIe 6 x16");
    EXPECT_EQ(gpu.domain_source, "NVLink fabric: cluster and clique of NVML");
  }
  EXPECT_EQ(at[3].uuid, "GPU-3");
  EXPECT_EQ(at[3].pci, "0000:03:00.0");
}

TEST_F(CudaLocationTest, CliquesOfAClusterAreApart) {
  const std::string fabric =
      absl::StrCat(" links=18 to=switch state=3 cluster=", kCluster);
  const auto at =
      LocateLines(2, absl::StrCat(Address(0), fabric, " clique=1\n", Address(1),
                                  fabric, " clique=2\n"));
  EXPECT_NE(at[0].domain, at[1].domain);
}

TEST_F(CudaLocationTest, DgxIsADomainOfItsOwn) {
  // Eight B200: the fabric manager serves one host, so the cluster is zero.
  const auto at =
      Locate(8, "pcie=5x16 links=18 mbps=50000 to=switch state=3 clique=0");
  for (const DeviceLocation& gpu : at) {
    EXPECT_EQ(gpu.domain, "NVSwitch");
    EXPECT_FALSE(gpu.domain_spans_hosts);
    EXPECT_EQ(gpu.domain_link.gigabytes, 900);
  }
}

TEST_F(CudaLocationTest, PciCardsAreAlone) {
  const auto at = Locate(8, "pcie=5x16");
  EXPECT_NE(at[0].domain, at[1].domain);
  EXPECT_EQ(at[7].domain, "0000:07:00.0");
  EXPECT_EQ(at[7].domain_source, "no NVLink leads to another GPU");
  EXPECT_EQ(at[7].domain_link.name, "");
  EXPECT_NEAR(at[7].host_link.gigabytes, 63, 0.1);
}

TEST_F(CudaLocationTest, BridgesMakePairs) {
  std::string text;
  for (int gpu = 0; gpu < 4; ++gpu) {
    absl::StrAppend(&text, Address(gpu),
                    " pcie=4x16 links=12 mbps=25000 to=", Address(gpu ^ 1),
                    "\n");
  }
  const auto at = LocateLines(4, text);
  EXPECT_EQ(at[0].domain, at[1].domain);
  EXPECT_EQ(at[2].domain, at[3].domain);
  EXPECT_NE(at[0].domain, at[2].domain);
  EXPECT_EQ(at[2].domain_link.gigabytes, 300);
}

TEST_F(CudaLocationTest, ARingOfGpusIsOneDomain) {
  std::string text;
  for (int gpu = 0; gpu < 4; ++gpu) {
    absl::StrAppend(&text, Address(gpu), " links=4 to=", Address((gpu + 1) % 4),
                    ",", Address((gpu + 3) % 4), "\n");
  }
  const auto at = LocateLines(4, text);
  for (const DeviceLocation& gpu : at) EXPECT_EQ(gpu.domain, at[0].domain);
}

TEST_F(CudaLocationTest, AnOldDriverTellsTheFabricToo) {
  const auto at =
      Locate(1, absl::StrCat("version=2 state=3 clique=7 cluster=", kCluster));
  EXPECT_EQ(at[0].domain, absl::StrCat("fabric ", kCluster, " clique 7"));
}

TEST_F(CudaLocationTest, WhatIsWrongWithTheFabricIsTold) {
  const std::string gpu =
      absl::StrCat("links=18 to=switch clique=7 cluster=", kCluster);
  auto at = Locate(1, gpu + " state=2");
  EXPECT_EQ(at[0].domain, "NVSwitch");
  EXPECT_THAT(at[0].domain_source, HasSubstr("has not finished"));
  at = Locate(1, gpu + " state=3 status=999");
  EXPECT_EQ(at[0].domain, "NVSwitch");
  EXPECT_THAT(at[0].domain_source, HasSubstr("reports: Unknown Error"));
  at = Locate(1, gpu + " state=3 health=1");
  EXPECT_THAT(at[0].domain, StartsWith("fabric"));
  EXPECT_THAT(at[0].domain_source, HasSubstr("degraded"));
}

TEST_F(CudaLocationTest, WithoutNvmlADomainIsUnknown) {
  setenv("EISBACH_NVML_LIBRARY", "/nowhere/libnvidia-ml.so.1", 1);
  auto at = LocateGpus(2);
  EXPECT_NE(at[0].domain, at[1].domain);
  EXPECT_THAT(at[0].domain_source, StartsWith("unknown: /nowhere/libnvidia"));

  setenv("EISBACH_NVML_LIBRARY", std::getenv("EISBACH_CUDA_LIBRARY"), 1);
  unsetenv("EISBACH_NVML_DOUBLE");
  EXPECT_EQ(LocateGpus(1)[0].domain_source,
            "unknown: nvmlInit: Driver Not Loaded");
  at = LocateLines(2, Address(0) + " pcie=5x16\n");
  EXPECT_THAT(at[1].domain_source,
              HasSubstr("does not find GPU 0000:01:00.0: Not Found"));
}

}  // namespace
}  // namespace eisbach::location_test
