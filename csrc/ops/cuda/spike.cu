#include "device/cuda/portable.h"
#include "ops/cuda/spike_kernels.h"

namespace eisbach::cuda {
namespace {

// A thread for each step that a window may have.
constexpr int kBlock = ops::kMostSpikeWindow;

// Of the `count` first threads' values the (count - 1) / 2-th, in every thread:
// the one with as many before it, where equal ones stand in order.
__device__ double BlockMedian(double value, int count) {
  EISBACH_SHARED(double, values, [kBlock]);
  EISBACH_SHARED(double, median, [1]);
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();  // those who read an earlier call's are done
  values[thread] = value;
  __syncthreads();
  if (thread < count) {
    int before = 0;
    for (int i = 0; i < count; ++i) {
      const double other = values[i];
      before += other < value || (other == value && i < thread) ? 1 : 0;
    }
    if (before == (count - 1) / 2) median[0] = value;
  }
  __syncthreads();
  return median[0];
}

struct Limit {
  double limit;
  double median;
};

__device__ Limit LimitOf(const double* values, const ops::SpikeRule& rule,
                         double relative, double absolute) {
  const int thread = static_cast<int>(threadIdx.x);
  const double value = thread < rule.window ? values[thread] : 0.0;
  const double median = BlockMedian(value, rule.window);
  const double mad = BlockMedian(fabs(value - median), rule.window);
  const double deviation =
      fmax(fmax(ops::kNormalMad * mad, relative * fabs(median)), absolute);
  return {median + rule.deviations * deviation, median};
}

// One block; all its threads come to the same branches.
__global__ void __launch_bounds__(kBlock)
    JudgeStepKernel(StepToJudge step, ops::SpikeRule rule, double* state,
                    double* verdict, StepState* step_state) {
  const bool first = threadIdx.x == 0;
  if (first) {
    for (int i = 0; i < ops::kVerdictSize; ++i) verdict[i] = 0.0;
  }
  if (step_state->is_void != 0.0f) return;
  double loss = 0.0;
  for (long long i = 0; i < step.n; ++i) loss += step.losses[i];
  if (step.counted != nullptr) loss *= step.all / *step.counted;
  const float scale = step_state->loss_scale;
  const double norm = sqrt(*step.norm_squared) / scale;
  ops::BadStep bad = ops::BadStep::kNone;
  Limit limit = {0.0, 0.0};
  if (!(fabs(loss) < INFINITY)) {
    bad = ops::BadStep::kLossNotFinite;
  } else if (!(norm < INFINITY)) {
    if (scale > step.least_loss_scale) return;
    bad = ops::BadStep::kNormNotFinite;
  } else if (rule.deviations > 0.0 && state[ops::kKept] >= rule.window) {
    limit =
        LimitOf(state + ops::kWindow, rule, ops::kLeastLossDeviation.relative,
                ops::kLeastLossDeviation.absolute);
    if (loss > limit.limit) {
      bad = ops::BadStep::kLossSpike;
    } else {
      limit = LimitOf(state + ops::kWindow + rule.window, rule,
                      ops::kLeastNormDeviation.relative,
                      ops::kLeastNormDeviation.absolute);
      if (norm > limit.limit) bad = ops::BadStep::kNormSpike;
    }
  }
  __syncthreads();  // all have read the state
  if (!first) return;
  if (bad == ops::BadStep::kNone) {
    const int at = static_cast<int>(state[ops::kNext]);
    state[ops::kWindow + at] = loss;
    state[ops::kWindow + rule.window + at] = norm;
    state[ops::kNext] = (at + 1) % rule.window;
    state[ops::kKept] =
        fmin(static_cast<double>(rule.window), state[ops::kKept] + 1.0);
    state[ops::kInARow] = 0.0;
    return;
  }
  verdict[ops::kBad] = static_cast<int>(bad);
  verdict[ops::kLimit] = limit.limit;
  verdict[ops::kMedian] = limit.median;
  step_state->finite = 0.0f;
  if (state[ops::kInARow] + 1.0 > state[ops::kTolerated]) {
    verdict[ops::kIsVoid] = 1.0;
    step_state->is_void = 1.0f;
  } else {
    state[ops::kInARow] += 1.0;
    state[ops::kSkipped] += 1.0;
  }
}

__global__ void EndSkippedStepKernel(const double* verdict,
                                     StepState* step_state) {
  if (verdict[ops::kBad] == 0.0 || verdict[ops::kIsVoid] != 0.0) return;
  step_state->finite = 1.0f;
  step_state->is_void = 0.0f;
}

}  // namespace

cudaError_t LaunchJudgeStep(const StepToJudge& step, const ops::SpikeRule& rule,
                            double* state, double* verdict,
                            StepState* step_state, cudaStream_t stream) {
  return Launch({dim3(1), dim3(kBlock), stream}, JudgeStepKernel, step, rule,
                state, verdict, step_state);
}

cudaError_t LaunchEndSkippedStep(const double* verdict, StepState* step_state,
                                 cudaStream_t stream) {
  return Launch({dim3(1), dim3(1), stream}, EndSkippedStepKernel, verdict,
                step_state);
}

}  // namespace eisbach::cuda
