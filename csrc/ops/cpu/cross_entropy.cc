#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/cross_entropy.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/row_softmax-inl.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 4096;  // elements a thread

// `width` of the stats: 3, or 4 with the sum.
template <typename T>
void StatsRow(const T* logits, int64_t target, int64_t columns, int64_t width,
              float* stats) {
  stats[0] = RowMax(logits, columns);
  stats[1] = columns == 0 ? 0.0f : RowSumExp(logits, columns, stats[0]);
  const bool here = target >= 0 && target < columns;
  stats[2] = here ? static_cast<float>(logits[target]) : 0.0f;
  if (width == 3) return;
  stats[3] = SumVectors(columns, [&](int64_t i, auto lanes) HWY_ATTR {
    return Load(logits + i, lanes);
  });
}

// What makes a gradient of a row's softmax p: scale * (push * p - pull), and at
// the target at_target less. Without terms push is 1 and pull 0.
struct RowGradient {
  float lse, scale, push, pull, at_target;
};

RowGradient GradientOfRow(const LossTerms& terms, int64_t vocab, bool masked,
                          float lse, float scale) {
  if (masked) return {lse, scale, 1, 0, 1};
  return {lse, scale, 1 + 2 * terms.z_loss * lse,
          terms.label_smoothing / static_cast<float>(vocab),
          1 - terms.label_smoothing};
}

template <typename T>
void BackwardRow(T* logits, int64_t target, int64_t columns, int64_t width,
                 const RowGradient& row) {
  const VF l = Splat(row.lse);
  const VF s = Splat(row.scale);
  const VF push = Splat(row.push);
  const VF pull = Splat(row.pull);
  const bool here = target >= 0 && target < columns;
  // In f32 before the store rounds: softmax - 1 is near 0 late in training.
  const float at_target =
      here ? static_cast<float>(logits[target]) - row.lse : 0.0f;
  ForEachVector(0, columns, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF p = ExpKeepNaN(hn::Sub(Load(logits + i, lanes), l));
    Store(hn::Mul(hn::MulSub(p, push, pull), s), logits + i, lanes);
  });
  if (here) {
    const float rest =
        (row.push - 1) * std::exp(at_target) + ((1 - row.at_target) - row.pull);
    logits[target] = static_cast<T>(row.scale * (std::expm1(at_target) + rest));
  }
  std::fill(logits + columns, logits + width, T{});
}

}  // namespace

absl::Status CrossEntropyStats(const CrossEntropyStatsArgs& args, Stream&) {
  return DispatchFloat(
      args.logits.dtype(), "cross_entropy_stats", [&](auto type) {
        using T = decltype(type);
        const T* logits = args.logits.data<T>();
        const int32_t* targets = args.targets.data<int32_t>();
        float* stats = args.stats.data<float>();
        const int64_t stats_width = args.stats.dim(1);
        const int64_t width = args.logits.dim(1);
        cpu::ParallelFor(args.logits.dim(0), kGrain / (width + 1) + 1,
                         [&](int64_t begin, int64_t end) {
                           for (int64_t r = begin; r < end; ++r) {
                             StatsRow(logits + r * width,
                                      targets[r] - args.first_column,
                                      args.valid_columns, stats_width,
                                      stats + stats_width * r);
                           }
                         });
        return absl::OkStatus();
      });
}

absl::Status CrossEntropyBackward(const CrossEntropyBackwardArgs& args,
                                  Stream&) {
  return DispatchFloat(
      args.logits.dtype(), "cross_entropy_backward", [&](auto type) {
        using T = decltype(type);
        T* logits = args.logits.data<T>();
        const int32_t* targets = args.targets.data<int32_t>();
        const float* lse = args.lse.data<float>();
        const int64_t width = args.logits.dim(1);
        const float scale = args.factor == nullptr
                                ? args.scale
                                : args.scale * *args.factor->data<float>();
        const float* weights =
            args.weights == nullptr ? nullptr : args.weights->data<float>();
        cpu::ParallelFor(
            args.logits.dim(0), kGrain / (width + 1) + 1,
            [&](int64_t begin, int64_t end) {
              for (int64_t r = begin; r < end; ++r) {
                BackwardRow(
                    logits + r * width, targets[r] - args.first_column,
                    args.valid_columns, width,
                    GradientOfRow(
                        args.terms, args.vocab, targets[r] < 0, lse[r],
                        weights == nullptr ? scale : scale * weights[r]));
              }
            });
        return absl::OkStatus();
      });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
namespace {

// In double: the loss of a confident prediction is the small difference of
// two large numbers.
absl::Status Combine(const CrossEntropyCombineArgs& args, Stream&) {
  const int64_t ranks = args.stats.dim(0);
  const int64_t tokens = args.stats.dim(1);
  const int64_t width = args.stats.dim(2);
  const float* stats = args.stats.data<float>();
  const int32_t* targets = args.targets.data<int32_t>();
  const auto masked = [](int32_t target) { return target < 0; };
  if (args.counted != nullptr) {
    *args.counted->data<double>() += static_cast<double>(
        tokens - std::count_if(targets, targets + tokens, masked));
  }
  float* lse = args.lse.data<float>();
  float* loss = args.loss.data<float>();
  float* added = args.added == nullptr ? nullptr : args.added->data<float>();
  cpu::ParallelFor(tokens, 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (masked(targets[i])) {
        lse[i] = std::numeric_limits<float>::infinity();
        loss[i] = 0;
        if (added != nullptr) added[i] = added[tokens + i] = 0;
        continue;
      }
      double max = -std::numeric_limits<double>::infinity();
      for (int64_t r = 0; r < ranks; ++r) {
        const double m = stats[(r * tokens + i) * width];
        if (m > max || std::isnan(m)) max = m;
      }
      double sum = 0;
      double target = 0;
      double logits = 0;
      for (int64_t r = 0; r < ranks; ++r) {
        const float* s = stats + (r * tokens + i) * width;
        const double factor = s[0] == max ? 1.0 : std::exp(s[0] - max);
        sum += factor * s[1];
        target += s[2];
        if (width == 4) logits += s[3];
      }
      const double log_sum = std::log(sum);
      lse[i] = static_cast<float>(max + log_sum);
      loss[i] = static_cast<float>((max - target) + log_sum);
      if (added == nullptr) continue;
      const double z = max + log_sum;
      const double mean = logits / static_cast<double>(args.vocab);
      added[i] = static_cast<float>(args.terms.z_loss * z * z);
      added[tokens + i] =
          static_cast<float>(args.terms.label_smoothing * (target - mean));
    }
  });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(CrossEntropyCombineSlot, DeviceType::kCpu, &Combine);

}  // namespace

EISBACH_REGISTER_SIMD_KERNEL(CrossEntropyStats);
EISBACH_REGISTER_SIMD_KERNEL(CrossEntropyBackward);

}  // namespace eisbach::ops
#endif
