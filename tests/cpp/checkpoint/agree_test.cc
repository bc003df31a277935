#include "checkpoint/agree.h"

#include "comm/world.h"
#include "support/status_testing.h"

namespace eisbach::checkpoint::agree_test {
namespace {

using Body = std::function<void(comm::Communicator&, Stream&)>;

void OnRanks(int size, const Body& body) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      size, DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        body(world.communicator(), world.device().compute_stream());
        return absl::OkStatus();
      }));
}

TEST(AgreeOnStatus, IsOkWhenAllAre) {
  for (int size : {1, 2, 5}) {
    OnRanks(size, [](comm::Communicator& group, Stream& stream) {
      EISBACH_EXPECT_OK(AgreeOnStatus(absl::OkStatus(), group, stream));
    });
  }
}

TEST(AgreeOnStatus, GivesAllTheErrorOfTheLowestRank) {
  OnRanks(4, [](comm::Communicator& group, Stream& stream) {
    absl::Status mine;
    if (group.rank() == 1) mine = absl::DataLossError("one");
    if (group.rank() == 3) mine = absl::NotFoundError("three");
    EXPECT_EQ(AgreeOnStatus(mine, group, stream),
              absl::DataLossError("rank 1: one"));
    // The group is as usable as before.
    EISBACH_EXPECT_OK(AgreeOnStatus(absl::OkStatus(), group, stream));
  });
}

TEST(AgreeOnValue, TellsAValueThatDiffers) {
  OnRanks(3, [](comm::Communicator& group, Stream& stream) {
    EISBACH_EXPECT_OK(AgreeOnValue(~uint64_t{0}, "it", group, stream));
    EISBACH_EXPECT_OK(AgreeOnValue(0, "it", group, stream));
    const uint64_t mine = uint64_t{1} << (group.rank() == 2 ? 63 : 62);
    EXPECT_THAT(AgreeOnValue(mine, "the manifest", group, stream),
                test::StatusIs(absl::StatusCode::kInvalidArgument,
                               "the manifest is not the same"));
  });
}

TEST(GatherText, BringsTextsOfAnyLength) {
  OnRanks(3, [](comm::Communicator& group, Stream& stream) {
    const std::vector<std::string> want = {"", std::string("a\0b", 3),
                                           std::string(1000, 'c')};
    EISBACH_ASSERT_OK_AND_ASSIGN(const auto got,
                                 GatherText(want[group.rank()], group, stream));
    EXPECT_EQ(got, want);
  });
}

}  // namespace
}  // namespace eisbach::checkpoint::agree_test
