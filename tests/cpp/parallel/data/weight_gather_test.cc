#include "parallel/data/weight_gather.h"

#include "cpp/parallel/data/weights_testing.h"

namespace eisbach::parallel::weight_gather_test {
namespace {

TEST(WeightGather, BringsWhatOthersHaveUpdated) {
  for (const int zero : {1, 2}) {
    OnTwoThatDivide(zero, [](Stage& stage, comm::World& world) -> absl::Status {
      EISBACH_ASSIGN_OR_RETURN(
          auto gather, WeightGather::Make(*stage.buffer, world.communicator(),
                                          world.device().compute_stream()));
      for (int step = 1; step <= 3; ++step) {
        EISBACH_RETURN_IF_ERROR(gather->BeginPass());
        WriteOwn(stage, step);
        EISBACH_RETURN_IF_ERROR(gather->Updated());
        for (const int i : {0, 3, 1, 5, 2, 4}) {
          EISBACH_RETURN_IF_ERROR(ExpectValue(stage, i, step));
        }
      }
      // One call a bucket and step.
      EXPECT_EQ(world.communicator().stats().calls, 9);
      return absl::OkStatus();
    });
  }
}

TEST(WeightGather, WaitsForAllOnRequest) {
  OnTwoThatDivide(1, [](Stage& stage, comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(
        auto gather, WeightGather::Make(*stage.buffer, world.communicator(),
                                        world.device().compute_stream()));
    WriteOwn(stage, 1);
    EISBACH_RETURN_IF_ERROR(gather->Updated());
    EISBACH_RETURN_IF_ERROR(gather->Wait());
    gather = nullptr;  // nobody is asked any more
    for (int i = 0; i < kParameters; ++i) {
      EISBACH_RETURN_IF_ERROR(ExpectValue(stage, i, 1));
    }
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace eisbach::parallel::weight_gather_test
