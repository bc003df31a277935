#include "parallel/tensor/functions/collectives.h"

#include <gtest/gtest.h>

#include "autograd/graph.h"
#include "autograd/saved.h"
#include "comm/world.h"
#include "support/status_testing.h"

namespace eisbach::parallel::collectives_test {
namespace {

absl::StatusOr<Tensor> Filled(double value, Device& device) {
  EISBACH_ASSIGN_OR_RETURN(Tensor t,
                           Tensor::Empty(Shape{5}, DType::kF32, device));
  std::fill_n(t.data<float>(), 5, static_cast<float>(value));
  return t;
}

using Function = absl::StatusOr<Tensor> (*)(const Tensor&, comm::Communicator&,
                                            Stream&);

// Applies `function` on 3 ranks to x = rank + 1, back from a gradient of
// 10 (rank + 1), and expects y and dx everywhere.
void Check(Function function, const std::function<double(int)>& y_of,
           const std::function<double(int)>& dx_of) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      3, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(Tensor x,
                                 Filled(world.rank() + 1, world.device()));
        EISBACH_ASSIGN_OR_RETURN(
            Tensor seed, Filled(10 * (world.rank() + 1), world.device()));
        autograd::Graph graph;
        Tensor leaf = graph.Leaf(x);
        Tensor y;
        {
          autograd::GraphScope scope(&graph);
          EISBACH_ASSIGN_OR_RETURN(
              y, function(leaf, world.communicator(), stream));
        }
        autograd::BackwardContext context{stream};
        EISBACH_RETURN_IF_ERROR(graph.Backward({y}, {seed}, context));
        const Tensor dx = graph.TakeGradient(leaf);
        for (int i = 0; i < 5; ++i) {
          EXPECT_EQ(y.data<float>()[i], y_of(world.rank()));
          EXPECT_EQ(dx.data<float>()[i], dx_of(world.rank()));
          // The seed belongs to the caller.
          EXPECT_EQ(seed.data<float>()[i], 10 * (world.rank() + 1));
        }
        return absl::OkStatus();
      }));
}

TEST(TensorRegionTest, EnteringCopiesForwardAndSumsBackward) {
  Check(
      &EnterTensorRegion, [](int rank) { return rank + 1.0; },
      [](int) { return 60.0; });
}

TEST(TensorRegionTest, LeavingSumsForwardAndCopiesBackward) {
  Check(
      &LeaveTensorRegion, [](int) { return 6.0; },
      [](int rank) { return 10.0 * (rank + 1); });
}

// 3 samples of 2 positions, 4 features; each of 2 ranks has 3 tokens.
constexpr nn::TokenShare kShares[] = {{3, 2, 0, 3}, {3, 2, 3, 3}};

absl::StatusOr<Tensor> Counting(const Shape& shape, float first,
                                Device& device) {
  EISBACH_ASSIGN_OR_RETURN(Tensor t, Tensor::Empty(shape, DType::kF32, device));
  for (int64_t i = 0; i < t.elements(); ++i) {
    t.data<float>()[i] = first + static_cast<float>(i);
  }
  return t;
}

void OnTwoRanks(const std::function<absl::Status(comm::World&)>& test) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(2, DeviceType::kCpu, 1, test));
}

TEST(DividedTokensTest, AreGatheredAndTheirGradientSummed) {
  OnTwoRanks([](comm::World& world) -> absl::Status {
    const int rank = world.rank();
    Stream& stream = world.device().compute_stream();
    EISBACH_ASSIGN_OR_RETURN(
        Tensor x, Counting(Shape{1, 3, 4}, static_cast<float>(12 * rank),
                           world.device()));
    // 100 and 200 more on the two ranks.
    EISBACH_ASSIGN_OR_RETURN(
        Tensor seed,
        Counting(Shape{3, 2, 4}, static_cast<float>(100 * (rank + 1)),
                 world.device()));
    autograd::Graph graph;
    Tensor leaf = graph.Leaf(x);
    Tensor y, again;
    autograd::Saved saved;
    {
      autograd::GraphScope scope(&graph);
      EISBACH_ASSIGN_OR_RETURN(
          y, GatherTokens(leaf, kShares[rank], world.communicator(), stream));
      saved = autograd::Saved(y);
    }
    EXPECT_EQ(y.shape(), (Shape{3, 2, 4}));
    EISBACH_ASSIGN_OR_RETURN(again, saved.Get(stream));
    EXPECT_NE(again.raw(), y.raw());  // gathered again, not kept
    autograd::BackwardContext context{stream};
    EISBACH_RETURN_IF_ERROR(graph.Backward({y}, {seed}, context));
    const Tensor dx = graph.TakeGradient(leaf);
    EXPECT_EQ(dx.shape(), x.shape());
    for (int i = 0; i < 24; ++i) {
      EXPECT_EQ(y.data<float>()[i], i);
      EXPECT_EQ(again.data<float>()[i], i);
    }
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(dx.data<float>()[i], 300 + 2 * (12 * rank + i));
    }
    return absl::OkStatus();
  });
}

TEST(DividedTokensTest, AreTheirPartOfASumAndTheirGradientGathered) {
  OnTwoRanks([](comm::World& world) -> absl::Status {
    const int rank = world.rank();
    Stream& stream = world.device().compute_stream();
    EISBACH_ASSIGN_OR_RETURN(
        Tensor x, Counting(Shape{3, 2, 4}, static_cast<float>(100 * (rank + 1)),
                           world.device()));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor seed, Counting(Shape{1, 3, 4}, static_cast<float>(12 * rank),
                              world.device()));
    autograd::Graph graph;
    Tensor leaf = graph.Leaf(x);
    Tensor y;
    {
      autograd::GraphScope scope(&graph);
      EISBACH_ASSIGN_OR_RETURN(
          y, ScatterTokens(leaf, kShares[rank], world.communicator(), stream));
    }
    autograd::BackwardContext context{stream};
    EISBACH_RETURN_IF_ERROR(graph.Backward({y}, {seed}, context));
    const Tensor dx = graph.TakeGradient(leaf);
    EXPECT_EQ(y.shape(), (Shape{1, 3, 4}));
    EXPECT_EQ(dx.shape(), x.shape());
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(y.data<float>()[i], 300 + 2 * (12 * rank + i));
    }
    for (int i = 0; i < 24; ++i) EXPECT_EQ(dx.data<float>()[i], i);
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace eisbach::parallel::collectives_test
