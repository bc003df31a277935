#include "train/clock_offset.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "comm/world.h"
#include "device/tracer.h"
#include "support/status_testing.h"

namespace eisbach::train::clock_offset_test {
namespace {

// Clocks of ranks that stand apart as they may on several hosts. What is told
// must be right within the error that is told, whatever the machine does.
TEST(ClockOffsetTest, RoundTripsFindHowFarClocksStandApart) {
  for (const int64_t ahead :
       {int64_t{0}, int64_t{5'000'000'000'000}, int64_t{-7'000'000'000}}) {
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        2, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
          const auto clock = [&] {
            return Tracer::Now() + (world.rank() == 1 ? ahead : 0);
          };
          EISBACH_ASSIGN_OR_RETURN(const ClockOffset offset,
                                   OffsetByRoundTrips(world.communicator(),
                                                      1 - world.rank(), clock));
          EXPECT_LE(std::abs(offset.ns - ahead), offset.error_ns);
          EXPECT_GT(offset.error_ns, 0);
          return absl::OkStatus();
        }));
  }
}

TEST(ClockOffsetTest, RanksOfOneHostReadOneClock) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      3, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const ClockOffset offset,
                                 MeasureClockOffset(world.communicator()));
        EXPECT_EQ(offset.ns, 0);
        EXPECT_EQ(offset.error_ns, 0);
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::train::clock_offset_test
