#include "train/network_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::train::network_use_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr NetworkRequirements kNvls = {.nvls =
                                           Required::kOfTensorAndDataGroups};
constexpr NetworkRequirements kMnnvl = {.mnnvl =
                                            Required::kOfTensorAndDataGroups};

// Eight ranks on hosts of four: tensor groups of two, data groups of four.
class NetworkUseTest : public ::testing::Test {
 protected:
  NetworkUseTest() {
    for (int rank = 0; rank < 8; ++rank) {
      locations_[rank].rank = rank;
      locations_[rank].host = absl::StrCat("node", rank / 4);
    }
  }

  static AxisNetwork Along(parallel::AxisSet axes, bool multimem, int domains) {
    return {.axes = axes,
            .by_rank = std::vector<GroupNetwork>(
                8, {.transport = "nccl",
                    .interconnect = comm::Interconnect{
                        .multimem = multimem, .nvlink_domains = domains}})};
  }

  absl::Status Check(const NetworkRequirements& requirements) const {
    return CheckRequirements(mesh_, locations_, axes_, requirements);
  }

  parallel::Mesh mesh_ = test::Value(parallel::MakeMesh(8, {.tensor = 2}));
  std::vector<RankLocation> locations_ = std::vector<RankLocation>(8);
  std::vector<AxisNetwork> axes_ = {Along({Axis::kTensor}, true, 1),
                                    Along({Axis::kData}, true, 1)};
};

TEST_F(NetworkUseTest, TellsALineAnAxis) {
  EXPECT_EQ(NetworkText(mesh_, axes_),
            "tensor groups of 2: nccl, NVLink switches add (NVLS), 1 NVLink "
            "domain\n"
            "data groups of 4: nccl, NVLink switches add (NVLS), 1 NVLink "
            "domain");
}

TEST_F(NetworkUseTest, CountsGroupsThatDiffer) {
  for (int rank : {4, 5}) axes_[0].by_rank[rank].interconnect->multimem = false;
  EXPECT_THAT(NetworkText(mesh_, axes_),
              HasSubstr("tensor groups of 2: 3 have nccl, NVLink switches add "
                        "(NVLS), 1 NVLink domain; 1 have nccl, no NVLS, 1"));
}

TEST_F(NetworkUseTest, RequiresNothingUnlessTold) {
  axes_ = {Along({Axis::kTensor}, false, 2), Along({Axis::kData}, false, 4)};
  EISBACH_EXPECT_OK(Check({}));
}

TEST_F(NetworkUseTest, IsSatisfiedByWhatIsThere) {
  EISBACH_EXPECT_OK(Check(kNvls));
  EISBACH_EXPECT_OK(Check(kMnnvl));
}

TEST_F(NetworkUseTest, NamesTheGroupWithoutSwitches) {
  for (int rank : {4, 5}) axes_[0].by_rank[rank].interconnect->multimem = false;
  const absl::Status status = Check(kNvls);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("nvls is required"),
                    HasSubstr("tensor group of ranks 4, 5 "),
                    HasSubstr("(network.nvls)")));
  EISBACH_EXPECT_OK(Check(kMnnvl));
}

TEST_F(NetworkUseTest, CanSpareDataGroups) {
  axes_[1] = Along({Axis::kData}, false, 2);
  EISBACH_EXPECT_OK(Check(
      {.nvls = Required::kOfTensorGroups, .mnnvl = Required::kOfTensorGroups}));
  EXPECT_THAT(std::string(Check(kNvls).message()),
              HasSubstr("data group of ranks 0, 2, 4, 6 "));
}

TEST_F(NetworkUseTest, NamesTheGroupThatSpansHostsOutsideADomain) {
  axes_[0] = Along({Axis::kTensor}, true, 2);  // each on one host
  EISBACH_EXPECT_OK(Check(kMnnvl));
  axes_[1] = Along({Axis::kData}, true, 2);
  EXPECT_THAT(std::string(Check(kMnnvl).message()),
              AllOf(HasSubstr("mnnvl is required"),
                    HasSubstr("data group of ranks 0, 2, 4, 6 "),
                    HasSubstr("on 2 hosts and in 2 NVLink domains"),
                    HasSubstr("(network.mnnvl)")));
}

TEST_F(NetworkUseTest, RefusesATransportThatCannotTell) {
  for (GroupNetwork& one : axes_[1].by_rank) {
    one = {.transport = "old", .unknown = "it is too old to tell"};
  }
  for (const NetworkRequirements& requirements : {kNvls, kMnnvl}) {
    EXPECT_THAT(std::string(Check(requirements).message()),
                HasSubstr("it is too old to tell"));
  }
}

TEST_F(NetworkUseTest, KnowsItsNames) {
  EXPECT_EQ(test::Value(RequiredByName("auto")), Required::kOfNone);
  EXPECT_EQ(test::Value(RequiredByName("tensor")), Required::kOfTensorGroups);
  EXPECT_EQ(test::Value(RequiredByName("required")),
            Required::kOfTensorAndDataGroups);
  EXPECT_THAT(std::string(RequiredByName("on").status().message()),
              HasSubstr("auto, tensor, required"));
}

TEST(GatherNetworkTest, IsKnownOnEveryRank) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      4, DeviceType::kCpu, 1, [](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(
            const parallel::Mesh mesh,
            parallel::MakeMesh(4, {.tensor = 2, .pipeline = 2}));
        EISBACH_ASSIGN_OR_RETURN(const auto context,
                                 parallel::ParallelContext::Make(world, mesh));
        EISBACH_ASSIGN_OR_RETURN(const std::vector<RankLocation> locations,
                                 GatherLocations(world));
        EISBACH_ASSIGN_OR_RETURN(const std::vector<AxisNetwork> axes,
                                 GatherNetwork(*context));
        EXPECT_EQ(NetworkText(mesh, axes),
                  "tensor groups of 2: threads\npipeline groups of 2: threads");
        const absl::Status status =
            CheckRequirements(mesh, locations, axes, kNvls);
        EXPECT_THAT(std::string(status.message()),
                    HasSubstr("does not know what connects its ranks"));
        return absl::OkStatus();
      }));
}

// Gradients are summed over both, which is required of as of data groups.
TEST(GatherNetworkTest, RanksThatDivideRowsSumGradientsToo) {
  const auto check = [](int ranks, const std::string& lines) {
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        ranks, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                                   parallel::MakeMesh(ranks, {.context = 2}));
          EISBACH_ASSIGN_OR_RETURN(
              const auto context, parallel::ParallelContext::Make(world, mesh));
          EISBACH_ASSIGN_OR_RETURN(const std::vector<RankLocation> locations,
                                   GatherLocations(world));
          EISBACH_ASSIGN_OR_RETURN(const std::vector<AxisNetwork> axes,
                                   GatherNetwork(*context));
          EXPECT_EQ(NetworkText(mesh, axes), lines);
          EXPECT_FALSE(CheckRequirements(mesh, locations, axes, kNvls).ok());
          return absl::OkStatus();
        }));
  };
  check(2, "context groups of 2: threads");
  check(4, "context groups of 2: threads\ndata x context groups of 4: threads");
}

}  // namespace
}  // namespace eisbach::train::network_use_test
