#include "train/rank_location.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::train::rank_location_test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Hosts of `host_size` GPUs of which `domain_size` make a domain.
std::vector<RankLocation> Gpus(int ranks, int host_size, int domain_size) {
  std::vector<RankLocation> locations(ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    RankLocation& at = locations[rank];
    at.rank = rank;
    at.host = absl::StrCat("node", rank / host_size);
    at.cores = ParseCores("0-15");
    at.device = {.name = "NVIDIA B200",
                 .pci = absl::StrCat("0000:", rank % host_size, "b:00.0"),
                 .domain = absl::StrCat("d", rank / domain_size),
                 .domain_spans_hosts = true,
                 .domain_source = "made up",
                 .domain_link = {.name = "NVLink", .gigabytes = 900},
                 .host_link = {.name = "PCIe 5 x16", .gigabytes = 63.008},
                 .adapters = {{.name = "mlx5_0", .gigabytes = 50}},
                 .numa_node = rank % host_size / 4};
    if (domain_size == 1) at.device.domain_link = {};
  }
  return locations;
}

std::string Crossing(const std::vector<RankLocation>& locations, int tensor) {
  const auto places = PlacesOf(locations);
  const parallel::Mesh mesh = test::Value(parallel::MakeMesh(
      static_cast<int>(places.size()),
      {.tensor = tensor, .placement = parallel::PlaceRanks(places, tensor)}));
  return CrossingText(mesh, locations);
}

TEST(RankLocationTest, IsKnownOnEveryRank) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      3, DeviceType::kCpu, 2, [](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(const std::vector<RankLocation> all,
                                 GatherLocations(world));
        EXPECT_EQ(all.size(), 3);
        const DeviceLocation mine = LocationOf(world.device());
        for (int rank = 0; rank < 3; ++rank) {
          EXPECT_EQ(all[rank].rank, rank);
          EXPECT_EQ(all[rank].host, HostName());
          EXPECT_EQ(all[rank].cores, UsableCores());
          EXPECT_EQ(all[rank].threads, 2);
          EXPECT_EQ(all[rank].memory, mine.memory / 3 / 10 * 9);
          EXPECT_GT(all[rank].memory, 0);
          EXPECT_EQ(all[rank].domain(), HostName() + " memory");
          EXPECT_EQ(all[rank].local_rank, rank);
          EXPECT_EQ(all[rank].device.name, mine.name);
          EXPECT_EQ(all[rank].device.domain_link.name, "memory");
          EXPECT_EQ(all[rank].device.adapters.size(), mine.adapters.size());
        }
        return absl::OkStatus();
      }));
}

TEST(RankLocationTest, DomainsOfAHostAreThoseOfTheHostAlone) {
  RankLocation at{.host = "a", .device = {.domain = "NVSwitch"}};
  EXPECT_EQ(at.domain(), "a NVSwitch");
  at.device = {.domain = "fabric 1", .domain_spans_hosts = true};
  EXPECT_EQ(at.domain(), "fabric 1");
}

TEST(RankLocationTest, TheTableHasARowForEachRank) {
  EXPECT_EQ(RankTable(Gpus(4, 2, 2)),
            "  rank  host   device                    domain  numa  cores  "
            "adapters\n"
            "  0     node0  NVIDIA B200 0000:0b:00.0  0       0     0-15   "
            "mlx5_0\n"
            "  1     node0  NVIDIA B200 0000:1b:00.0  0       0     0-15   "
            "mlx5_0\n"
            "  2     node1  NVIDIA B200 0000:0b:00.0  1       0     0-15   "
            "mlx5_0\n"
            "  3     node1  NVIDIA B200 0000:1b:00.0  1       0     0-15   "
            "mlx5_0\n"
            "  domain 0: 2 ranks, 0-1; NVLink, 900 GB/s; made up\n"
            "  domain 1: 2 ranks, 2-3; NVLink, 900 GB/s; made up\n");
}

TEST(RankLocationTest, TheTableOfManyRanksIsShort) {
  const std::string text = RankTable(Gpus(72 * 20, 4, 72));
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 90);
  EXPECT_THAT(text, AllOf(HasSubstr("... 20 domains"), HasSubstr("  1439 "),
                          HasSubstr("domain 19: 72 ranks, 1368-1439")));
  EXPECT_THAT(RankTable(Gpus(1, 1, 1)), HasSubstr("domain 0: rank 0; made up"));
}

TEST(RankLocationTest, GroupsThatStayInsideAreNotWorthALine) {
  EXPECT_EQ(Crossing(Gpus(16, 8, 8), 8), "");
  EXPECT_EQ(Crossing(Gpus(144, 4, 72), 72), "");
}

TEST(RankLocationTest, GroupsThatCrossNameTheirLink) {
  EXPECT_EQ(Crossing(Gpus(16, 8, 8), 16),
            "parallel.tensor=16 crosses domains: 1 of 1 tensor groups, such as "
            "ranks 0-15 of 2 domains, talk over the network (mlx5_0, 50 GB/s) "
            "instead of NVLink, 900 GB/s; sizes that stay inside: 1, 2, 4, 8");
  EXPECT_EQ(Crossing(Gpus(8, 8, 1), 4),
            "parallel.tensor=4 crosses domains: 2 of 2 tensor groups, such as "
            "ranks 0-3 of 4 domains, talk over PCIe 5 x16, 63 GB/s; sizes that "
            "stay inside: 1");
  auto unknown = Gpus(2, 1, 1);
  unknown[0].device.adapters.clear();
  EXPECT_THAT(Crossing(unknown, 2),
              HasSubstr("talk over the network, speed not known; "));
}

TEST(RankLocationTest, TheRankMapIsThatOfTheBetterOrder) {
  auto locations = Gpus(4, 2, 2);
  std::swap(locations[1], locations[2]);  // dealt in turn
  EXPECT_EQ(Crossing(locations, 2), "");
  EXPECT_THAT(parallel::PlaceRanks(PlacesOf(locations), 2),
              ::testing::ElementsAre(0, 2, 1, 3));
}

}  // namespace
}  // namespace eisbach::train::rank_location_test
