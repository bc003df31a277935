#include "plan/collective_seconds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "cpp/plan/plan_testing.h"
#include "support/status_testing.h"

namespace eisbach::plan::collective_seconds_test {
namespace {

TEST(CollectiveSecondsTest, InsideADomainARingMovesTheBuffer) {
  const Hardware machine = RoundMachine();
  const auto seconds = [&](absl::string_view name) {
    return CollectiveSeconds(name, 1e9, {.size = 4, .inside = 4}, machine);
  };
  const double latency = 2e-6;  // log2(4) messages
  EXPECT_DOUBLE_EQ(seconds("all_gather"), 0.75 * 1e9 / 1e10 + latency);
  EXPECT_DOUBLE_EQ(seconds("reduce_scatter"), 0.75 * 1e9 / 1e10 + latency);
  EXPECT_DOUBLE_EQ(seconds("all_to_all"), 0.75 * 1e9 / 1e10 + latency);
  EXPECT_DOUBLE_EQ(seconds("all_reduce"), 1.5 * 1e9 / 1e10 + 2 * latency);
  EXPECT_EQ(CollectiveSeconds("all_reduce", 1e9, {}, machine), 0);
}

TEST(CollectiveSecondsTest, AcrossDomainsEachMemberTakesAPart) {
  const Hardware machine = RoundMachine();
  // 8 domains of 4: over the network goes a quarter of the buffer.
  EXPECT_NEAR(
      CollectiveSeconds("all_reduce", 1e9, {.size = 32, .inside = 4}, machine),
      2 * 7.0 / 8 * 1e9 / 4 / 1e9 + 2 * 3 * 1e-5 + 2 * 2 * 1e-6, 1e-9);
  // One member in each: all of it.
  EXPECT_NEAR(
      CollectiveSeconds("all_gather", 1e9, {.size = 8, .inside = 1}, machine),
      7.0 / 8 * 1e9 / 1e9 + 3 * 1e-5, 1e-9);
  // Of an all-to-all, what other domains get.
  EXPECT_NEAR(
      CollectiveSeconds("all_to_all", 1e9, {.size = 8, .inside = 4}, machine),
      0.5 * 1e9 / 1e9 + 1e-5 + 2e-6, 1e-9);
}

TEST(CollectiveSecondsTest, WhatWasMeasuredComesFirst) {
  Hardware machine = RoundMachine();
  machine.collectives["all_gather"] = {
      .latency = 1e-3, .bandwidth = 4e9, .staged_bandwidth = 2e9};
  const auto seconds = [&](const GroupPlace& place, bool staged) {
    return CollectiveSeconds("all_gather", 1e9, place, machine, staged);
  };
  EXPECT_DOUBLE_EQ(seconds({.size = 2, .inside = 2}, true), 0.25 + 1e-3);
  EXPECT_DOUBLE_EQ(seconds({.size = 2, .inside = 2}, false), 0.125 + 1e-3);
  // Between domains it was not.
  EXPECT_DOUBLE_EQ(seconds({.size = 2, .inside = 1}, true), 0.5 + 1e-5);
}

TEST(CollectiveSecondsTest, GroupsLieWhereTheMeshPutsThem) {
  const Hardware machine = RoundMachine();
  const parallel::Mesh mesh = test::Value(parallel::MakeMesh(
      32, {.data = 4, .tensor = 2, .pipeline = 2, .context = 2}));
  const auto inside = [&](absl::string_view group, int size) {
    return PlaceOf(group, size, mesh, machine).inside;
  };
  EXPECT_EQ(inside("tensor", 2), 2);
  EXPECT_EQ(inside("experts", 8), 4);      // neighbours
  EXPECT_EQ(inside("expert data", 8), 2);  // two apart
  EXPECT_EQ(inside("expert data", 2), 1);  // eight apart
  EXPECT_EQ(inside("context", 2), 2);      // 2 apart, in a host of 4
  const parallel::Mesh long_rows =
      test::Value(parallel::MakeMesh(16, {.tensor = 2, .context = 8}));
  EXPECT_EQ(PlaceOf("context ulysses", 2, long_rows, machine).inside, 2);
  EXPECT_EQ(PlaceOf("context ring", 4, long_rows, machine).inside, 1);
  EXPECT_EQ(inside("data", 8), 2);      // data x context
  EXPECT_EQ(inside("pipeline", 2), 1);  // 16 apart
  // Pairs that divide state, and those of the others that have the same part.
  EXPECT_EQ(inside("zero", 2), 2);
  EXPECT_EQ(inside("zero", 4), 2);
  EXPECT_EQ(inside("zero replicas", 4), 1);
  // Groups of three have no even part of a host.
  EXPECT_EQ(PlaceOf(9, 1, machine).inside, 3);
  EXPECT_EQ(PlaceOf(5, 1, machine).inside, 1);
}

// Of the ranks of the group that rank 0 is in, those of its domain.
int Beside(const std::vector<int>& ranks, int devices) {
  return static_cast<int>(std::count_if(
      ranks.begin(), ranks.end(), [&](int rank) { return rank < devices; }));
}

TEST(CollectiveSecondsTest, PlacesAreThoseOfTheRanks) {
  Hardware machine = RoundMachine();
  const parallel::MeshOptions options[] = {
      {.data = 8, .tensor = 2, .pipeline = 2},
      {.data = 4, .tensor = 1, .pipeline = 4, .context = 2},
      {.data = 2, .tensor = 4, .pipeline = 2, .context = 2},
      {.data = 16, .tensor = 1, .pipeline = 2}};
  for (const parallel::MeshOptions& sizes : options) {
    const parallel::Mesh mesh = test::Value(parallel::MakeMesh(32, sizes));
    const std::vector<int> data = mesh.Group(0, {Axis::kData, Axis::kContext});
    std::map<std::string, std::vector<int>> groups = {
        {"tensor", mesh.Group(0, {Axis::kTensor})},
        {"context", mesh.Group(0, {Axis::kContext})},
        {"data", data},
        {"pipeline", mesh.Group(0, {Axis::kPipeline})},
        {"model", mesh.Group(0, {Axis::kPipeline, Axis::kTensor})},
        {"tied", mesh.StageGroup(0, {0, sizes.pipeline - 1})}};
    for (const int devices : {1, 2, 4, 8, 16, 32}) {
      machine.domain.devices = devices;
      for (int n = 2; n < static_cast<int>(data.size()); n *= 2) {
        groups["zero"] = {data.begin(), data.begin() + n};
        groups["zero replicas"].clear();
        for (size_t i = 0; i < data.size(); i += n) {
          groups["zero replicas"].push_back(data[i]);
        }
        for (const auto& [name, ranks] : groups) {
          const auto size = static_cast<int>(ranks.size());
          const GroupPlace place = PlaceOf(name, size, mesh, machine);
          EXPECT_EQ(place.size, size);
          EXPECT_EQ(place.inside, Beside(ranks, devices))
              << name << " of " << mesh.ToString() << " on " << devices;
        }
      }
    }
  }
}

}  // namespace
}  // namespace eisbach::plan::collective_seconds_test
