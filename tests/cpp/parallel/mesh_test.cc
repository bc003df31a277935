#include "parallel/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <vector>

namespace eisbach::parallel::mesh_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Mesh Make(int world_size, const MeshOptions& options) {
  absl::StatusOr<Mesh> mesh = MakeMesh(world_size, options);
  EXPECT_TRUE(mesh.ok()) << mesh.status();
  return *std::move(mesh);
}

std::string ErrorOf(int world_size, const MeshOptions& options) {
  absl::StatusOr<Mesh> mesh = MakeMesh(world_size, options);
  EXPECT_EQ(mesh.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(mesh.status().message());
}

TEST(MeshTest, DataTakesTheRanksThatAreLeft) {
  const Mesh mesh = Make(24, {.tensor = 2, .pipeline = 3});
  EXPECT_EQ(mesh.size(Axis::kData), 4);
  EXPECT_EQ(mesh.size(Axis::kTensor), 2);
  EXPECT_EQ(mesh.size(Axis::kPipeline), 3);
  EXPECT_EQ(mesh.size(Axis::kContext), 1);
  EXPECT_EQ(mesh.size(AxisSet{Axis::kData, Axis::kTensor}), 8);
  EXPECT_EQ(mesh.ToString(), "pipeline=3 x data=4 x context=1 x tensor=2");
}

TEST(MeshTest, PipelineIsSlowestAndTensorFastest) {
  const Mesh mesh = Make(8, {.tensor = 2, .pipeline = 2});
  EXPECT_THAT(mesh.Group(5, {Axis::kTensor}), ElementsAre(4, 5));
  EXPECT_THAT(mesh.Group(5, {Axis::kData}), ElementsAre(5, 7));
  EXPECT_THAT(mesh.Group(5, {Axis::kPipeline}), ElementsAre(1, 5));
  EXPECT_THAT(mesh.Group(0, {Axis::kPipeline, Axis::kTensor}),
              ElementsAre(0, 1, 4, 5));
  EXPECT_THAT(mesh.Group(6, {}), ElementsAre(6));
}

TEST(MeshTest, OrderCanBeChosen) {
  const Mesh mesh = Make(4, {.tensor = 2,
                             .pipeline = 2,
                             .order = {Axis::kTensor, Axis::kData,
                                       Axis::kContext, Axis::kPipeline}});
  EXPECT_THAT(mesh.Group(0, {Axis::kPipeline}), ElementsAre(0, 1));
  EXPECT_THAT(mesh.Group(0, {Axis::kTensor}), ElementsAre(0, 2));
}

TEST(MeshTest, StagesHaveNeighbours) {
  const Mesh mesh = Make(12, {.tensor = 2, .pipeline = 3});
  EXPECT_EQ(mesh.NextStage(1), 5);
  EXPECT_EQ(mesh.NextStage(5), 9);
  EXPECT_EQ(mesh.NextStage(9), std::nullopt);
  EXPECT_EQ(mesh.PreviousStage(9), 5);
  EXPECT_EQ(mesh.PreviousStage(1), std::nullopt);
  EXPECT_TRUE(mesh.IsFirstStage(3));
  EXPECT_TRUE(mesh.IsLastStage(8));
  EXPECT_FALSE(mesh.IsLastStage(4));
}

TEST(MeshTest, EndStagesShareAGroup) {
  const Mesh mesh = Make(12, {.tensor = 2, .pipeline = 3});
  const std::array<int, 2> ends = {0, 2};
  EXPECT_THAT(mesh.StageGroup(9, ends), ElementsAre(1, 9));
  EXPECT_THAT(mesh.StageGroup(5, ends), IsEmpty());
  EXPECT_LT(mesh.StageSplit(5, ends).color, 0);
  EXPECT_EQ(mesh.StageSplit(1, ends).color, mesh.StageSplit(9, ends).color);
  EXPECT_NE(mesh.StageSplit(0, ends).color, mesh.StageSplit(9, ends).color);

  const std::array<int, 2> same = {0, 0};
  EXPECT_THAT(Make(2, {}).StageGroup(1, same), ElementsAre(1));
}

// Every factoring of every world size up to 48, in two orders.
class MeshSweep : public ::testing::TestWithParam<AxisOrder> {
 protected:
  template <typename F>
  void ForEachMesh(F&& f) {
    for (int world = 1; world <= 48; ++world) {
      for (int t = 1; t <= world; ++t) {
        for (int p = 1; p <= world; ++p) {
          for (int c = 1; c <= 2; ++c) {
            if (world % (t * p * c) != 0) continue;
            f(Make(world, {.tensor = t,
                           .pipeline = p,
                           .context = c,
                           .order = GetParam()}));
          }
        }
      }
    }
  }
};

TEST_P(MeshSweep, RankAndCoordinatesAreInverse) {
  ForEachMesh([](const Mesh& mesh) {
    for (int rank = 0; rank < mesh.world_size(); ++rank) {
      const Coordinates at = mesh.CoordinatesOf(rank);
      EXPECT_EQ(mesh.RankOf(at), rank);
      for (Axis axis : mesh.order()) {
        EXPECT_GE(at[axis], 0);
        EXPECT_LT(at[axis], mesh.size(axis));
      }
    }
  });
}

TEST_P(MeshSweep, SplitMakesTheGroups) {
  const AxisSet sets[] = {{Axis::kTensor},
                          {Axis::kData, Axis::kContext},
                          {Axis::kPipeline, Axis::kTensor}};
  ForEachMesh([&](const Mesh& mesh) {
    if (mesh.world_size() > 24) return;
    for (AxisSet axes : sets) {
      std::map<int, std::vector<std::pair<int, int>>> by_color;
      for (int rank = 0; rank < mesh.world_size(); ++rank) {
        const SplitArguments split = mesh.GroupSplit(rank, axes);
        by_color[split.color].push_back({split.key, rank});
      }
      for (auto& [color, members] : by_color) {
        std::sort(members.begin(), members.end());
        std::vector<int> ranks;
        for (const auto& [key, rank] : members) ranks.push_back(rank);
        for (int rank : ranks) EXPECT_EQ(mesh.Group(rank, axes), ranks);
        EXPECT_EQ(ranks.size(), mesh.size(axes));
      }
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Orders, MeshSweep,
                         ::testing::Values(kDefaultAxisOrder,
                                           AxisOrder{Axis::kData, Axis::kTensor,
                                                     Axis::kPipeline,
                                                     Axis::kContext}));

TEST(MeshTest, SizesThatDoNotDivideNameTheNearest) {
  EXPECT_EQ(ErrorOf(8, {.tensor = 3, .pipeline = 2}),
            "parallel.tensor=3 x parallel.pipeline=2 = 6 does not divide 8 "
            "ranks; nearest that works: parallel.tensor=4 x "
            "parallel.pipeline=2, or start 12 ranks");
}

TEST(MeshTest, NearestAlwaysWorks) {
  for (int world = 1; world <= 32; ++world) {
    for (int t = 1; t <= 9; ++t) {
      for (int p = 1; p <= 9; ++p) {
        absl::StatusOr<Mesh> mesh =
            MakeMesh(world, {.tensor = t, .pipeline = p});
        if (mesh.ok()) continue;
        const std::string message(mesh.status().message());
        int tensor = 0, pipeline = 0, ranks = 0;
        const size_t at = message.find("nearest that works: ");
        ASSERT_NE(at, std::string::npos) << message;
        ASSERT_EQ(std::sscanf(message.c_str() + at,
                              "nearest that works: parallel.tensor=%d x "
                              "parallel.pipeline=%d, or start %d ranks",
                              &tensor, &pipeline, &ranks),
                  3)
            << message;
        EXPECT_TRUE(
            MakeMesh(world, {.tensor = tensor, .pipeline = pipeline}).ok());
        EXPECT_TRUE(MakeMesh(ranks, {.tensor = t, .pipeline = p}).ok());
      }
    }
  }
}

TEST(MeshTest, ExplicitDataMustMultiplyToTheWorld) {
  EXPECT_EQ(ErrorOf(8, {.data = 2, .tensor = 2}),
            "parallel.data=2 x parallel.tensor=2 x parallel.pipeline=1 = 4 "
            "ranks, but 8 were started; nearest that works: parallel.data=4 "
            "(or auto), or start 4 ranks");
}

TEST(MeshTest, SizesBelowOneAreRefused) {
  EXPECT_THAT(ErrorOf(4, {.tensor = 0}), HasSubstr("parallel.tensor=0"));
  EXPECT_THAT(ErrorOf(4, {.pipeline = -2}), HasSubstr("parallel.pipeline=-2"));
  EXPECT_THAT(ErrorOf(4, {.data = -1}), HasSubstr("parallel.data=-1"));
  EXPECT_THAT(ErrorOf(0, {}), HasSubstr("at least 1 rank"));
  EXPECT_THAT(ErrorOf(1, {.order = {Axis::kData, Axis::kData, Axis::kContext,
                                    Axis::kTensor}}),
              HasSubstr("axis order"));
}

TEST(MeshTest, HugeSizesDoNotOverflow) {
  EXPECT_THAT(ErrorOf(8, {.tensor = 1 << 30, .pipeline = 1 << 30}),
              HasSubstr("= 1152921504606846976 does not divide 8 ranks"));
  const int huge = 0x7fffffff;
  EXPECT_THAT(ErrorOf(8, {.tensor = huge, .pipeline = huge, .context = huge}),
              HasSubstr("does not divide 8 ranks"));
}

TEST(MeshTest, RankMapShowsEveryRank) {
  EXPECT_EQ(Make(8, {.tensor = 2, .pipeline = 2}).RankMapText(),
            "8 ranks: pipeline=2 x data=2 x context=1 x tensor=2\n"
            "           data 0  data 1\n"
            "  stage 0  0 1     2 3\n"
            "  stage 1  4 5     6 7\n"
            "  (a cell holds the ranks of one tensor group)\n");
}

TEST(MeshTest, RankMapOfALargeMeshIsShort) {
  const std::string text =
      Make(72 * 64, {.tensor = 72, .pipeline = 32}).RankMapText();
  EXPECT_THAT(text, AllOf(HasSubstr("4536-4607"), HasSubstr("...")));
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 20);
  EXPECT_THAT(Make(1, {}).RankMapText(), Not(HasSubstr("tensor group")));
}

TEST(AxisSetTest, IsASet) {
  const AxisSet gradients{Axis::kContext, Axis::kData};
  EXPECT_EQ(gradients.ToString(), "data x context");
  EXPECT_EQ(gradients, (AxisSet{Axis::kData, Axis::kContext}));
  EXPECT_TRUE(gradients.Contains(Axis::kData));
  EXPECT_FALSE(gradients.Contains(Axis::kTensor));
}

}  // namespace
}  // namespace eisbach::parallel::mesh_test
