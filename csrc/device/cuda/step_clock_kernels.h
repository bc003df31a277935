#pragma once

#include <cuda_runtime_api.h>

namespace eisbach::cuda {

// What CudaStepClock keeps in device memory.
inline constexpr int kClockTimes = 12;
struct StepClockSums {
  long long since_ns;  // of the last lap, on the GPU's clock
  long long ns[kClockTimes];
};

// All sums are 0 from the point that the stream is at.
cudaError_t LaunchClockStart(StepClockSums* sums, cudaStream_t stream);
// Adds what has passed since the last lap to ns[time].
cudaError_t LaunchClockLap(StepClockSums* sums, int time, cudaStream_t stream);
// The same, and then moves the sums to `seconds`, [kClockTimes].
cudaError_t LaunchClockTake(StepClockSums* sums, int time, float* seconds,
                            cudaStream_t stream);

}  // namespace eisbach::cuda
