#include "device/cuda/portable.h"
#include "ops/cuda/preference_kernels.h"
#include "ops/cuda/reduce.cuh"

namespace eisbach::cuda {
namespace {

using ops::PairOutcome;
using ops::PreferenceRule;

constexpr int kBlock = 256;

__global__ void __launch_bounds__(kBlock)
    PairSumsKernel(const float* losses, const int* targets, const int* starts,
                   long long length, double* sums) {
  const long long row = blockIdx.x * length;
  double found[ops::kPairSums] = {};
  for (long long i = row + threadIdx.x; i < row + length; i += kBlock) {
    if (targets[i] < 0) continue;
    const bool chosen = starts[i] == 0;
    const double loss = losses[i];
    found[ops::kChosen] -= chosen ? loss : 0.0;
    found[ops::kRejected] -= chosen ? 0.0 : loss;
    found[ops::kChosenTokens] += chosen ? 1.0 : 0.0;
    found[ops::kRejectedTokens] += chosen ? 0.0 : 1.0;
  }
#pragma unroll
  for (int k = 0; k < ops::kPairSums; ++k) {
    const double sum = BlockReduce<SumOf>(found[k]);
    if (threadIdx.x == 0) {
      sums[(long long)blockIdx.x * ops::kPairSums + k] = sum;
    }
  }
}

// Few pairs: one thread adds them up in their order.
__global__ void __launch_bounds__(1)
    PreferenceTotalsKernel(PreferenceRule rule, float scale,
                           const double* policy, const double* reference,
                           long long pairs, double* loss, double* totals) {
  double sum = 0;
  for (long long b = 0; b < pairs; ++b) {
    const PairOutcome pair = ops::JudgePair(rule, policy + b * ops::kPairSums,
                                            reference + b * ops::kPairSums);
    sum += pair.loss;
    totals[ops::kPairs] += 1;
    totals[ops::kChosenReward] += pair.chosen_reward;
    totals[ops::kRejectedReward] += pair.rejected_reward;
    totals[ops::kRight] += pair.chosen_reward > pair.rejected_reward ? 1 : 0;
  }
  *loss = static_cast<double>(scale) * sum;
}

__global__ void __launch_bounds__(kBlock)
    PreferenceWeightsKernel(PreferenceRule rule, const double* policy,
                            const double* reference, const int* starts,
                            long long length, float* weights) {
  const long long b = blockIdx.x;
  const PairOutcome pair = ops::JudgePair(rule, policy + b * ops::kPairSums,
                                          reference + b * ops::kPairSums);
  const float chosen = static_cast<float>(-pair.chosen_slope);
  const float rejected = static_cast<float>(-pair.rejected_slope);
  for (long long t = threadIdx.x; t < length; t += kBlock) {
    weights[b * length + t] = starts[b * length + t] == 0 ? chosen : rejected;
  }
}

}  // namespace

cudaError_t LaunchPairSums(const float* losses, const int* targets,
                           const int* starts, const PairShape& shape,
                           double* sums, cudaStream_t stream) {
  if (shape.pairs == 0) return cudaSuccess;
  return Launch(
      {dim3(static_cast<unsigned>(shape.pairs)), dim3(kBlock), stream},
      PairSumsKernel, losses, targets, starts, shape.length, sums);
}

cudaError_t LaunchPreference(const ops::PreferenceRule& rule, float scale,
                             const double* policy, const double* reference,
                             const int* starts, const PairShape& shape,
                             const PairResults& results, cudaStream_t stream) {
  const cudaError_t totals =
      Launch({dim3(1), dim3(1), stream}, PreferenceTotalsKernel, rule, scale,
             policy, reference, shape.pairs, results.loss, results.totals);
  if (totals != cudaSuccess || shape.pairs == 0) return totals;
  return Launch(
      {dim3(static_cast<unsigned>(shape.pairs)), dim3(kBlock), stream},
      PreferenceWeightsKernel, rule, policy, reference, starts, shape.length,
      results.weights);
}

}  // namespace eisbach::cuda
