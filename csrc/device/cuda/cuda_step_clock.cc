#include "device/cuda/cuda_step_clock.h"

#include "core/status_macros.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/status.h"

namespace eisbach::cuda {

static_assert(kClockTimes == StepClock::kTimes);

CudaStepClock::~CudaStepClock() {
  if (sums_ != nullptr) memory_.Free(sums_);
}

absl::Status CudaStepClock::Start() {
  if (sums_ == nullptr) {
    EISBACH_ASSIGN_OR_RETURN(void* sums,
                             memory_.Allocate(sizeof(StepClockSums)));
    sums_ = static_cast<StepClockSums*>(sums);
  }
  EISBACH_RETURN_IF_CUDA(
      LaunchClockStart(sums_, Handle(device_.compute_stream())));
  return absl::OkStatus();
}

int CudaStepClock::Time(bool waiting) const {
  return static_cast<int>(part()) + (waiting ? kNumStepParts : 0);
}

void CudaStepClock::Add(bool waiting) {
  if (!counts()) return;
  status_.Update(Status(
      LaunchClockLap(sums_, Time(waiting), Handle(device_.compute_stream())),
      "a lap of the step clock"));
}

absl::Status CudaStepClock::Take(float* seconds) {
  EISBACH_RETURN_IF_ERROR(status_);
  EISBACH_RETURN_IF_CUDA(LaunchClockTake(sums_, Time(/*waiting=*/false),
                                         seconds,
                                         Handle(device_.compute_stream())));
  return absl::OkStatus();
}

}  // namespace eisbach::cuda
