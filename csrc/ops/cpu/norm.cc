#include "ops/norm.h"

#include <algorithm>
#include <cmath>

#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"
#include "ops/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/norm.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/block_sum-inl.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 8192;  // elements a thread

template <typename T>
T* DataOrNull(const Tensor* t) {
  return t == nullptr ? nullptr : t->data<T>();
}

template <typename T>
void AddResidual(const T* x, const T* residual, T* sum, int64_t width) {
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    Store(hn::Add(Load(x + i, lanes), Load(residual + i, lanes)), sum + i,
          lanes);
  });
}

template <typename T>
float RowMean(const T* x, int64_t width) {
  return SumVectors(width, [&](int64_t i, auto lanes)
                               HWY_ATTR { return Load(x + i, lanes); }) /
         static_cast<float>(width);
}

// mean((x - center)^2)
template <typename T>
float RowSpread(const T* x, float center, int64_t width) {
  const VF c = Splat(center);
  return SumVectors(width,
                    [&](int64_t i, auto lanes) HWY_ATTR {
                      const VF d = hn::Sub(Load(x + i, lanes), c);
                      return hn::Mul(d, d);
                    }) /
         static_cast<float>(width);
}

template <typename T>
void NormalizeRow(const T* x, float mean, float rstd, const T* weight,
                  float shift, const T* bias, int64_t width, T* y) {
  const VF m = Splat(mean);
  const VF r = Splat(rstd);
  const VF s = Splat(shift);
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    VF v = hn::Mul(hn::Sub(Load(x + i, lanes), m), r);
    v = hn::Mul(v, hn::Add(Load(weight + i, lanes), s));
    if (bias != nullptr) v = hn::Add(v, Load(bias + i, lanes));
    Store(v, y + i, lanes);
  });
}

// One row of the backward pass. Adds to dweight and dbias (null for RMS).
// With g = dy * weight and h = (sum - mean) * rstd:
//   dx = rstd * (g - mean(g) - h mean(g h)) + dsum, without mean(g) for RMS.
template <typename T>
void BackwardRow(const T* dy, const T* dsum, const T* sum, const T* weight,
                 float shift, float mean, float rstd, int64_t width,
                 float* dweight, float* dbias, T* dx) {
  const VF m = Splat(mean);
  const VF r = Splat(rstd);
  const VF s = Splat(shift);
  const float n = static_cast<float>(width);
  const float projection =
      SumVectors(width,
                 [&](int64_t i, auto lanes) HWY_ATTR {
                   const VF d = Load(dy + i, lanes);
                   const VF h = hn::Mul(hn::Sub(Load(sum + i, lanes), m), r);
                   const VF dh = hn::Mul(d, h);
                   Store(hn::Add(Load(dweight + i, lanes), dh), dweight + i,
                         lanes);
                   return hn::Mul(dh, hn::Add(Load(weight + i, lanes), s));
                 }) /
      n;
  float offset = 0;
  if (dbias != nullptr) {
    offset = SumVectors(width,
                        [&](int64_t i, auto lanes) HWY_ATTR {
                          const VF d = Load(dy + i, lanes);
                          Store(hn::Add(Load(dbias + i, lanes), d), dbias + i,
                                lanes);
                          return hn::Mul(d, Load(weight + i, lanes));
                        }) /
             n;
  }
  const VF p = Splat(projection);
  const VF o = Splat(offset);
  ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
    const VF g =
        hn::Mul(Load(dy + i, lanes), hn::Add(Load(weight + i, lanes), s));
    const VF h = hn::Mul(hn::Sub(Load(sum + i, lanes), m), r);
    VF v = hn::Mul(r, hn::NegMulAdd(h, p, hn::Sub(g, o)));
    if (dsum != nullptr) v = hn::Add(v, Load(dsum + i, lanes));
    Store(v, dx + i, lanes);
  });
}

template <typename T>
void Forward(const NormForwardArgs& args) {
  const Rows rows = RowsOf(args.x, args.weight.dim(0));
  const int64_t width = rows.width;
  const T* x = args.x.data<T>();
  const T* residual = DataOrNull<T>(args.residual);
  const T* weight = args.weight.data<T>();
  const T* bias = DataOrNull<T>(args.bias);
  T* sum = DataOrNull<T>(args.sum);
  T* y = args.y.data<T>();
  float* mean = DataOrNull<float>(args.mean);
  float* rstd = args.rstd.data<float>();
  const float shift = WeightShift(args.kind);
  cpu::ParallelFor(
      rows.count, kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t at = rows.At(r);
          const T* row = x + at;
          if (residual != nullptr) {
            AddResidual(row, residual + at, sum + at, width);
            row = sum + at;
          }
          const float center = mean == nullptr ? 0.0f : RowMean(row, width);
          const float scale =
              1.0f / std::sqrt(RowSpread(row, center, width) + args.eps);
          if (mean != nullptr) mean[r] = center;
          rstd[r] = scale;
          NormalizeRow(row, center, scale, weight, shift, bias, width, y + at);
        }
      });
}

template <typename T>
void Again(const NormalizeArgs& args) {
  const Rows rows = RowsOf(args.sum, args.weight.dim(0));
  const int64_t width = rows.width;
  const T* sum = args.sum.data<T>();
  const T* weight = args.weight.data<T>();
  const T* bias = DataOrNull<T>(args.bias);
  const float* mean = DataOrNull<float>(args.mean);
  const float* rstd = args.rstd.data<float>();
  T* y = args.y.data<T>();
  const float shift = WeightShift(args.kind);
  cpu::ParallelFor(
      rows.count, kGrain / (width + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t at = rows.At(r);
          NormalizeRow(sum + at, mean == nullptr ? 0.0f : mean[r], rstd[r],
                       weight, shift, bias, width, y + at);
        }
      });
}

// `partial` holds for each block of rows the sums for dweight, then for dbias.
template <typename T>
void Backward(const NormBackwardArgs& args, const Rows& rows, float* partial) {
  const int64_t width = rows.width;
  const int64_t blocks = BlockCount(rows.count);
  const T* dy = args.dy.data<T>();
  const T* dsum = DataOrNull<T>(args.dsum);
  const T* sum = args.sum.data<T>();
  const T* weight = args.weight.data<T>();
  const float* mean = DataOrNull<float>(args.mean);
  const float* rstd = args.rstd.data<float>();
  T* dx = args.dx.data<T>();
  float* dweights = partial;
  float* dbiases = args.dbias == nullptr ? nullptr : partial + blocks * width;
  cpu::ParallelFor(
      blocks, kGrain / (kBlockRows * width + 1) + 1,
      [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          float* dweight = dweights + b * width;
          float* dbias = dbiases == nullptr ? nullptr : dbiases + b * width;
          std::fill_n(dweight, width, 0.0f);
          if (dbias != nullptr) std::fill_n(dbias, width, 0.0f);
          const int64_t last = std::min(rows.count, (b + 1) * kBlockRows);
          for (int64_t r = b * kBlockRows; r < last; ++r) {
            const int64_t at = rows.At(r);
            BackwardRow(dy + at, dsum == nullptr ? nullptr : dsum + at,
                        sum + at, weight, WeightShift(args.kind),
                        mean == nullptr ? 0.0f : mean[r], rstd[r], width,
                        dweight, dbias, dx + at);
          }
        }
      });
  AddBlocks(dweights, blocks, width, args.accumulate,
            args.dweight.data<float>());
  if (args.dbias != nullptr) {
    AddBlocks(dbiases, blocks, width, args.accumulate,
              args.dbias->data<float>());
  }
}

}  // namespace

absl::Status NormForward(const NormForwardArgs& args, Stream&) {
  return DispatchFloat(args.x.dtype(), "norm_forward", [&](auto type) {
    Forward<decltype(type)>(args);
    return absl::OkStatus();
  });
}

absl::Status Normalize(const NormalizeArgs& args, Stream&) {
  return DispatchFloat(args.sum.dtype(), "normalize", [&](auto type) {
    Again<decltype(type)>(args);
    return absl::OkStatus();
  });
}

absl::Status NormBackward(const NormBackwardArgs& args, Stream& stream) {
  const Rows rows = RowsOf(args.sum, args.weight.dim(0));
  const int64_t kinds = args.dbias == nullptr ? 1 : 2;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{kinds, BlockCount(rows.count), rows.width},
                    DType::kF32, stream.device()));
  return DispatchFloat(args.sum.dtype(), "norm_backward", [&](auto type) {
    Backward<decltype(type)>(args, rows, partial.data<float>());
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(NormForward);
EISBACH_REGISTER_SIMD_KERNEL(Normalize);
EISBACH_REGISTER_SIMD_KERNEL(NormBackward);
}  // namespace eisbach::ops
#endif
