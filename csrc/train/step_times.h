#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/context.h"
#include "tensor/tensor.h"
#include "watch/stragglers.h"

namespace eisbach::train {

// Tells who is late: each rank notes what it takes for the parts of a step, all
// tell one another every few steps, and rank 0 judges (watch/stragglers.h).
class StepTimes {
 public:
  // A rank is late when it is slow for `steps` steps, at least 1. Collective
  // over the world, which has more than one rank. Unimplemented on a device
  // that works behind the host.
  static absl::StatusOr<std::unique_ptr<StepTimes>> Make(
      int steps, const parallel::ParallelContext& context);

  // Leaves out what was done since the end of the last step.
  void Restart();
  // Every rank ends the same steps. Collective in some of them.
  absl::Status EndStep(int64_t step);

  // On rank 0: who is late, the worst first, and lines on who has become so or
  // is so no more since the last call.
  std::vector<watch::Straggler> stragglers() const;
  std::vector<std::string> TakeNews();

 private:
  StepTimes(int steps, const parallel::ParallelContext& context);

  absl::Status TellAll();

  const parallel::ParallelContext& context_;
  const int rounds_;  // steps between two times that ranks tell one another
  Tensor mine_;       // f32 [rounds, kNumStepParts + 1], the last is waiting
  Tensor all_;        // f32 [ranks, rounds, kNumStepParts + 1]
  std::vector<int64_t> steps_;  // that `mine_` holds
  std::vector<std::string> hosts_;
  std::optional<watch::StragglerFinder> finder_;  // of rank 0
  std::vector<std::string> news_;
};

}  // namespace eisbach::train
