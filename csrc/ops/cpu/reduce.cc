#include "ops/reduce.h"

#include <algorithm>
#include <atomic>

#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"
#include "ops/op_check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/reduce.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/block_sum-inl.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kBlock = 8192;  // elements in a block of Sum
constexpr int64_t kGrain = 16384;

// sum[c] = the sum over `rows` rows of x, four at a time.
template <typename T>
void SumRows(const T* x, int64_t rows, int64_t width, float* sum) {
  std::fill_n(sum, width, 0.0f);
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T* x0 = x + r * width;
    const T* x1 = x0 + width;
    const T* x2 = x1 + width;
    const T* x3 = x2 + width;
    ForEachVector(0, width, [&](int64_t i, auto lanes) HWY_ATTR {
      const VF a = hn::Add(Load(x0 + i, lanes), Load(x1 + i, lanes));
      const VF b = hn::Add(Load(x2 + i, lanes), Load(x3 + i, lanes));
      Store(hn::Add(Load(sum + i, lanes), hn::Add(a, b)), sum + i, lanes);
    });
  }
  for (; r < rows; ++r) AddRow(x + r * width, width, sum);
}

// The sum of x or x^2 in f64, in four interleaved vectors.
template <bool kSquare>
double SumBlock(const float* x, int64_t n) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> dh;
  using VD = hn::Vec<decltype(dd)>;
  const auto term = [&](const float* p) HWY_ATTR {
    const VD v = hn::PromoteTo(dd, hn::LoadU(dh, p));
    return kSquare ? hn::Mul(v, v) : v;
  };
  VD a = hn::Zero(dd), b = a, c = a, d = a;
  const int64_t length = static_cast<int64_t>(hn::Lanes(dd));
  int64_t i = 0;
  for (; i + 4 * length <= n; i += 4 * length) {
    a = hn::Add(a, term(x + i));
    b = hn::Add(b, term(x + i + length));
    c = hn::Add(c, term(x + i + 2 * length));
    d = hn::Add(d, term(x + i + 3 * length));
  }
  for (; i < n; i += length) {
    float rest[hn::MaxLanes(dd)] = {};
    std::copy_n(x + i, std::min(length, n - i), rest);
    a = hn::Add(a, term(rest));
  }
  return hn::GetLane(hn::SumOfLanes(dd, hn::Add(hn::Add(a, b), hn::Add(c, d))));
}

template <typename T>
int64_t CountRange(const T* x, int64_t begin, int64_t end) {
  int64_t count = 0;
  ForEachVector(begin, end, [&](int64_t i, auto lanes) HWY_ATTR {
    const auto finite = hn::IsFinite(Load(x + i, lanes));
    count += static_cast<int64_t>(hn::CountTrue(DF(), hn::Not(finite)));
  });
  return count;
}

}  // namespace

absl::Status ColumnSum(const ColumnSumArgs& args, Stream& stream) {
  const int64_t rows = LeadingElements(args.x.shape());
  const int64_t width = args.x.dim(-1);
  const int64_t blocks = BlockCount(rows);
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{blocks, width}, DType::kF32, stream.device()));
  float* sums = partial.data<float>();
  return DispatchFloat(args.x.dtype(), "column_sum", [&](auto type) {
    using T = decltype(type);
    const T* x = args.x.data<T>();
    const int64_t grain = kGrain / (kBlockRows * width + 1) + 1;
    cpu::ParallelFor(blocks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t first = b * kBlockRows;
        SumRows(x + first * width, std::min(kBlockRows, rows - first), width,
                sums + b * width);
      }
    });
    AddBlocks(sums, blocks, width, args.accumulate, args.out.data<float>());
    return absl::OkStatus();
  });
}

absl::Status Sum(const SumArgs& args, Stream& stream) {
  const int64_t n = args.x.elements();
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor partial,
      Tensor::Empty(Shape{blocks}, DType::kF64, stream.device()));
  const float* x = args.x.data<float>();
  double* sums = partial.data<double>();
  cpu::ParallelFor(blocks, 2, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const float* block = x + b * kBlock;
      const int64_t count = std::min(kBlock, n - b * kBlock);
      sums[b] = args.power == 2 ? SumBlock<true>(block, count)
                                : SumBlock<false>(block, count);
    }
  });
  double sum = 0;
  for (int64_t b = 0; b < blocks; ++b) sum += sums[b];
  double& out = *args.out.data<double>();
  out = args.accumulate ? out + sum : sum;
  return absl::OkStatus();
}

absl::Status CountNonFinite(const CountNonFiniteArgs& args, Stream&) {
  return DispatchFloat(args.x.dtype(), "count_non_finite", [&](auto type) {
    using T = decltype(type);
    const T* x = args.x.data<T>();
    std::atomic<int64_t> count = 0;
    cpu::ParallelFor(args.x.elements(), kGrain,
                     [&](int64_t begin, int64_t end) {
                       count += CountRange(x, begin, end);
                     });
    *args.out.data<int64_t>() = count;
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(ColumnSum);
EISBACH_REGISTER_SIMD_KERNEL(Sum);
EISBACH_REGISTER_SIMD_KERNEL(CountNonFinite);
}  // namespace eisbach::ops
#endif
