#pragma once

#include <functional>

#include "cpp/parallel/data/reducer_testing.h"

// Weights that two ranks divide: reducer_testing.h's stage, six parameters in
// three buckets, of which bucket 0 has the last two.
namespace eisbach::parallel {

// What a parameter is after `step`.
inline float ValueOf(int parameter, int step) {
  return static_cast<float>(10 * step + parameter + 1);
}

// Writes this rank's own of all, as an optimizer would.
inline void WriteOwn(Stage& stage, int step) {
  for (int i = 0; i < kParameters; ++i) {
    const Tensor& own = stage[i].master();
    std::fill_n(static_cast<float*>(own.raw()), own.elements(),
                ValueOf(i, step));
  }
}

using WeightsBody = std::function<absl::Status(Stage&, comm::World&)>;
inline void OnTwoThatDivide(int zero, const WeightsBody& body) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      2, DeviceType::kCpu, /*threads=*/1,
      [&](comm::World& world) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(auto stage,
                                 Stage::Make(world.device().compute_stream(),
                                             DivisionOf(world, zero)));
        return body(*stage, world);
      }));
}

inline absl::Status ExpectValue(Stage& stage, int parameter, int step) {
  EISBACH_RETURN_IF_ERROR(stage[parameter].BeforeUse());
  EXPECT_THAT(test::ToDoubles(stage[parameter].data()),
              testing::Each(ValueOf(parameter, step)));
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
