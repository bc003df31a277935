#include "device/cuda/portable.h"
#include "device/cuda/step_clock_kernels.h"

namespace eisbach::cuda {
namespace {

// One thread each: what comes before and after in the stream orders them.

__device__ void Lap(StepClockSums* sums, int time) {
  const long long now = Nanoseconds();
  if (now > sums->since_ns) sums->ns[time] += now - sums->since_ns;
  sums->since_ns = now;
}

__global__ void __launch_bounds__(1) StartKernel(StepClockSums* sums) {
  for (int i = 0; i < kClockTimes; ++i) sums->ns[i] = 0;
  sums->since_ns = Nanoseconds();
}

__global__ void __launch_bounds__(1) LapKernel(StepClockSums* sums, int time) {
  Lap(sums, time);
}

__global__ void __launch_bounds__(1)
    TakeKernel(StepClockSums* sums, int time, float* seconds) {
  Lap(sums, time);
  for (int i = 0; i < kClockTimes; ++i) {
    seconds[i] = static_cast<float>(1e-9 * static_cast<double>(sums->ns[i]));
    sums->ns[i] = 0;
  }
}

LaunchShape OneThread(cudaStream_t stream) {
  return {dim3(1), dim3(1), stream};
}

}  // namespace

cudaError_t LaunchClockStart(StepClockSums* sums, cudaStream_t stream) {
  return Launch(OneThread(stream), StartKernel, sums);
}

cudaError_t LaunchClockLap(StepClockSums* sums, int time, cudaStream_t stream) {
  return Launch(OneThread(stream), LapKernel, sums, time);
}

cudaError_t LaunchClockTake(StepClockSums* sums, int time, float* seconds,
                            cudaStream_t stream) {
  return Launch(OneThread(stream), TakeKernel, sums, time, seconds);
}

}  // namespace eisbach::cuda
