#include "parallel/tensor/functions/collectives.h"

#include <gtest/gtest.h>

#include "autograd/graph.h"
#include "comm/world.h"
#include "support/status_testing.h"

namespace eisbach::parallel {
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

}  // namespace
}  // namespace eisbach::parallel
