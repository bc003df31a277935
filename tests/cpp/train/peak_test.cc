#include "train/peak.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/status_testing.h"

namespace eisbach::train::peak_test {
namespace {

TEST(PeakTest, IsMeasuredByAllRanksAndGivesItsMemoryBack) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      2, DeviceType::kCpu, 1, [](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const Peak peak, MeasurePeak(world));
        for (const double rate :
             {peak.f32_flops, peak.bf16_flops, peak.bytes}) {
          EXPECT_TRUE(std::isfinite(rate));
          EXPECT_GT(rate, 1e6);  // below what any machine does
        }
        EXPECT_EQ(world.device().memory().bytes_in_use, 0);
        EXPECT_EQ(world.device().memory().bytes_reserved, 0);
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::train::peak_test
