#include "parallel/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::parallel::topology_test {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// Hosts of `host_size` ranks; a new domain every `domain_size`.
std::vector<RankPlace> Cluster(int ranks, int host_size, int domain_size) {
  std::vector<RankPlace> places(ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    places[rank].host = absl::StrCat("host", rank / host_size);
    places[rank].domain = absl::StrCat("domain", rank / domain_size);
  }
  return places;
}

// The same machines, ranks dealt to the hosts in turn (--map-by node).
std::vector<RankPlace> InTurn(const std::vector<RankPlace>& places, int hosts) {
  std::vector<RankPlace> dealt;
  const int each = static_cast<int>(places.size()) / hosts;
  for (int i = 0; i < each; ++i) {
    for (int host = 0; host < hosts; ++host) {
      dealt.push_back(places[host * each + i]);
    }
  }
  return dealt;
}

std::vector<int> Identity(size_t size) {
  std::vector<int> order(size);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

Mesh Placed(const std::vector<RankPlace>& places, int tensor) {
  return test::Value(
      MakeMesh(static_cast<int>(places.size()),
               {.tensor = tensor, .placement = PlaceRanks(places, tensor)}));
}

int CrossingGroups(const std::vector<RankPlace>& places, int tensor) {
  const auto crossing = FindCrossing(Placed(places, tensor), places);
  return crossing ? crossing->groups : 0;
}

TEST(TopologyTest, CountsNeighboursThatAreNear) {
  const auto near = [](const std::vector<RankPlace>& places, int context,
                       int tensor = 1) {
    const Mesh mesh =
        test::Value(MakeMesh(static_cast<int>(places.size()),
                             {.tensor = tensor, .context = context}));
    return NeighboursInside(mesh, Axis::kContext, places);
  };
  EXPECT_EQ(near(Cluster(16, 8, 8), 16), 8);
  EXPECT_EQ(near(Cluster(16, 8, 8), 16 / 2, 2), 4);
  EXPECT_EQ(near(Cluster(16, 8, 8), 4), 4);
  // A domain spans hosts; a host has cards that no fast link joins.
  EXPECT_EQ(near(Cluster(16, 4, 8), 16), 8);
  EXPECT_EQ(near(Cluster(16, 8, 1), 16), 8);
  EXPECT_EQ(near(Cluster(16, 1, 1), 16), 1);
  EXPECT_EQ(near(InTurn(Cluster(16, 8, 8), 2), 16), 1);
  // Ranks 0 to 5, and 6 to 11 of which 8 begins a host.
  EXPECT_EQ(near(Cluster(12, 8, 8), 6), 2);
}

TEST(TopologyTest, OrderOfTheLauncherStaysWhereItWorks) {
  // Two racks of 18 hosts of 4; a DGX of 8 on each of 4 hosts; PCIe cards.
  EXPECT_EQ(PlaceRanks(Cluster(144, 4, 72), 72), Identity(144));
  EXPECT_EQ(PlaceRanks(Cluster(144, 4, 72), 8), Identity(144));
  EXPECT_EQ(PlaceRanks(Cluster(32, 8, 8), 4), Identity(32));
  EXPECT_EQ(PlaceRanks(Cluster(16, 8, 1), 1), Identity(16));
  EXPECT_EQ(PlaceRanks(Cluster(16, 8, 1), 4), Identity(16));
  // What no mesh takes is left to MakeMesh to refuse.
  EXPECT_EQ(PlaceRanks(Cluster(8, 4, 4), 3), Identity(8));
  EXPECT_EQ(PlaceRanks(Cluster(8, 4, 4), 0), Identity(8));
}

TEST(TopologyTest, RanksDealtInTurnAreBroughtTogether) {
  EXPECT_THAT(PlaceRanks(InTurn(Cluster(8, 4, 4), 2), 2),
              ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
  // Two racks, a rank to each of 36 hosts in turn.
  const std::vector<RankPlace> racks = InTurn(Cluster(144, 4, 72), 36);
  for (int tensor : {2, 8, 36, 72}) EXPECT_EQ(CrossingGroups(racks, tensor), 0);
  // Groups of 4 even stay on their host.
  const Mesh mesh = Placed(racks, 4);
  for (int rank = 0; rank < 144; ++rank) {
    for (int peer : mesh.Group(rank, {Axis::kTensor})) {
      EXPECT_EQ(racks[peer].host, racks[rank].host);
    }
  }
}

TEST(TopologyTest, UnevenDomainsCrossOnlyWithTheirRest) {
  std::vector<RankPlace> places = Cluster(12, 12, 12);
  // Domains of 3, 5 and 4 ranks: rests of 1, 1 and 0 make one group of 2.
  for (int rank = 0; rank < 12; ++rank) {
    places[rank].domain = rank < 3 ? "a" : rank < 8 ? "b" : "c";
  }
  EXPECT_EQ(CrossingGroups(places, 2), 1);
  const auto crossing = FindCrossing(Placed(places, 2), places);
  EXPECT_THAT(crossing->example, ElementsAre(2, 3));
  EXPECT_EQ(crossing->of, 6);
  EXPECT_EQ(crossing->domains, 2);
  EXPECT_FALSE(crossing->leaves_host);
  EXPECT_THAT(TensorSizesInside(places), ElementsAre(1));
}

TEST(TopologyTest, PciCardsShareAHost) {
  // Domains of 1: every group crosses, none leaves its host.
  const std::vector<RankPlace> cards = InTurn(Cluster(16, 8, 1), 2);
  const auto crossing = FindCrossing(Placed(cards, 8), cards);
  EXPECT_EQ(crossing->groups, 2);
  EXPECT_EQ(crossing->domains, 8);
  EXPECT_FALSE(crossing->leaves_host);
  EXPECT_TRUE(FindCrossing(Placed(cards, 16), cards)->leaves_host);
}

TEST(TopologyTest, PciCardsShareANumaNodeWhereTheyCan) {
  std::vector<RankPlace> cards = Cluster(8, 8, 1);
  for (int rank = 0; rank < 8; ++rank) cards[rank].numa_node = rank % 2;
  EXPECT_THAT(PlaceRanks(cards, 4), ElementsAre(0, 2, 4, 6, 1, 3, 5, 7));
}

TEST(TopologyTest, SizesInsideDivideEveryDomain) {
  EXPECT_THAT(TensorSizesInside(Cluster(144, 4, 72)),
              ElementsAre(1, 2, 3, 4, 6, 8, 9, 12, 18, 24, 36, 72));
  EXPECT_THAT(TensorSizesInside(Cluster(136, 4, 72)),  // 72 and 64
              ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(TensorSizesInside(Cluster(8, 8, 1)), ElementsAre(1));
}

TEST(TopologyTest, DomainsListTheirRanks) {
  EXPECT_THAT(Domains(InTurn(Cluster(6, 3, 3), 2)),
              ElementsAre(ElementsAre(0, 2, 4), ElementsAre(1, 3, 5)));
}

// Few domains in a group of the rest: 3 + 1 and 3 + 1, not 3 + 1, 2 + 1 + 1.
TEST(TopologyTest, RestsAreFittedTogether) {
  std::vector<RankPlace> places(8);
  const char* const domains[] = {"a", "a", "a", "b", "b", "b", "c", "d"};
  for (int rank = 0; rank < 8; ++rank) {
    places[rank] = {.domain = domains[rank], .host = "host"};
  }
  EXPECT_EQ(FindCrossing(Placed(places, 4), places)->domains, 2);
}

// Random machines: domains inside hosts, hosts inside domains, both uneven, and
// ranks in any order.
class RandomTopology : public ::testing::TestWithParam<int> {
 protected:
  std::vector<RankPlace> Make(std::mt19937& random) {
    const auto upto = [&](int n) { return static_cast<int>(random() % n); };
    const bool wide = upto(2) == 0;  // domains span hosts
    const int outer = 1 + upto(5);
    std::vector<RankPlace> places;
    for (int i = 0; i < outer; ++i) {
      for (int j = 0, inner = 1 + upto(4); j < inner; ++j) {
        for (int k = 0, ranks = 1 + upto(9); k < ranks; ++k) {
          const std::string big = absl::StrCat(i);
          const std::string small = absl::StrCat(i, ".", j);
          places.push_back({.domain = wide ? big : small,
                            .host = wide ? small : big,
                            .numa_node = upto(3) - 1});
        }
      }
    }
    if (upto(3) != 0) std::shuffle(places.begin(), places.end(), random);
    return places;
  }
};

TEST_P(RandomTopology, IsPlacedAsWellAsCanBe) {
  std::mt19937 random(GetParam());
  for (int repeat = 0; repeat < 40; ++repeat) {
    const std::vector<RankPlace> places = Make(random);
    const int world = static_cast<int>(places.size());
    const std::vector<int> inside = TensorSizesInside(places);
    for (int tensor = 1; tensor <= world; ++tensor) {
      if (world % tensor != 0) continue;
      const std::vector<int> order = PlaceRanks(places, tensor);
      std::vector<int> sorted = order;
      std::sort(sorted.begin(), sorted.end());
      ASSERT_EQ(sorted, Identity(world));
      ASSERT_EQ(order[0], 0);
      ASSERT_EQ(PlaceRanks(places, tensor), order);

      // A domain of s ranks holds s / tensor groups; no order has more.
      int whole = 0;
      for (const auto& domain : Domains(places)) {
        whole += static_cast<int>(domain.size()) / tensor;
      }
      const int crossing = CrossingGroups(places, tensor);
      EXPECT_EQ(crossing, world / tensor - whole);
      EXPECT_EQ(crossing == 0,
                std::count(inside.begin(), inside.end(), tensor) == 1);
      // As good as that was the launcher's order: it stays.
      const Mesh plain = test::Value(MakeMesh(world, {.tensor = tensor}));
      if (!FindCrossing(plain, places) && tensor == 1) {
        EXPECT_EQ(order, Identity(world));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomTopology, ::testing::Range(0, 8));

// Ranks that are in order within contiguous domains are never moved.
TEST_P(RandomTopology, ContiguousDomainsThatFitStay) {
  std::mt19937 random(GetParam());
  for (int repeat = 0; repeat < 40; ++repeat) {
    const int tensor = 1 + static_cast<int>(random() % 8);
    std::vector<RankPlace> places;
    for (int domain = 0; domain < 4; ++domain) {
      const int size = tensor * (1 + static_cast<int>(random() % 3));
      for (int i = 0; i < size; ++i) {
        places.push_back(
            {.domain = absl::StrCat(domain), .host = absl::StrCat(domain)});
      }
    }
    EXPECT_EQ(PlaceRanks(places, tensor), Identity(places.size()));
  }
}

TEST(PlacedMeshTest, CoordinatesFollowThePlacement) {
  const Mesh mesh = test::Value(MakeMesh(
      8, {.tensor = 2, .pipeline = 2, .placement = {0, 4, 1, 5, 2, 6, 3, 7}}));
  EXPECT_THAT(mesh.Group(4, {Axis::kTensor}), ElementsAre(0, 4));
  EXPECT_THAT(mesh.Group(5, {Axis::kData}), ElementsAre(4, 5));
  EXPECT_THAT(mesh.Group(3, {Axis::kPipeline}), ElementsAre(1, 3));
  EXPECT_EQ(mesh.NextStage(1), 3);
  for (int rank = 0; rank < 8; ++rank) {
    EXPECT_EQ(mesh.RankOf(mesh.CoordinatesOf(rank)), rank);
    const auto group = mesh.Group(rank, {Axis::kData, Axis::kTensor});
    const SplitArguments split =
        mesh.GroupSplit(rank, {Axis::kData, Axis::kTensor});
    EXPECT_EQ(group[split.key], rank);
  }
  EXPECT_EQ(mesh.RankMapText(),
            "8 ranks: pipeline=2 x data=2 x context=1 x tensor=2\n"
            "           data 0  data 1\n"
            "  stage 0  0 4     1 5\n"
            "  stage 1  2 6     3 7\n"
            "  (a cell holds the ranks of one tensor group)\n");
}

TEST(PlacedMeshTest, PlacementsThatAreNoneAreRefused) {
  for (const std::vector<int>& wrong : std::vector<std::vector<int>>{
           {0, 1, 1}, {0, 1}, {1, 0, 2}, {0, 1, 3}, {0, -1, 2}}) {
    EXPECT_THAT(MakeMesh(3, {.placement = wrong}),
                test::StatusIs(absl::StatusCode::kInvalidArgument,
                               "each of 3 ranks once, rank 0 first"));
  }
}

}  // namespace
}  // namespace eisbach::parallel::topology_test
