#include "device/location.h"

#include <gtest/gtest.h>

#include "core/host_memory.h"
#include "support/status_testing.h"

namespace eisbach::location_test {
namespace {

TEST(LocationTest, RanksOnTheCpuShareTheirHost) {
  for (const DeviceType type : {DeviceType::kCpu, DeviceType::kMeta}) {
    const auto device = test::Value(MakeDevice(type));
    const DeviceLocation at = LocationOf(*device);
    EXPECT_EQ(at.domain, "memory");
    EXPECT_FALSE(at.domain_spans_hosts);
    EXPECT_EQ(at.domain_link.name, "memory");
    EXPECT_EQ(at.pci, "");
    EXPECT_EQ(at.memory, HostMemory());
  }
}

}  // namespace
}  // namespace eisbach::location_test
