#include "ops/cpu/matmul_few_rows.h"

#include <algorithm>
#include <memory>

#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"
#include "ops/cpu/convert.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/matmul_few_rows.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

constexpr int64_t kColumnBlock = 64;  // of c, whose sums a thread has at once

// sums[r * kColumnBlock + j] = a row r · b row j, for kRows and kColumns of
// them. Each sum goes over the terms in the same order whatever the counts.
template <int kRows, int kColumns, typename T>
HWY_INLINE void Dots(const float* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                     int64_t b_ld, int64_t k, float* HWY_RESTRICT sums) {
  const DF d;
  VF total[kRows][kColumns];
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kColumns; ++j) total[r][j] = hn::Zero(d);
  }
  ForEachVector(0, k, [&](int64_t p, auto lanes) HWY_ATTR {
    VF column[kColumns];
#pragma GCC unroll 4
    for (int j = 0; j < kColumns; ++j) {
      column[j] = Load(b + j * b_ld + p, lanes);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const VF row = Load(a + r * k + p, lanes);
#pragma GCC unroll 4
      for (int j = 0; j < kColumns; ++j) {
        total[r][j] = hn::MulAdd(row, column[j], total[r][j]);
      }
    }
  });
  for (int r = 0; r < kRows; ++r) {
    for (int j = 0; j < kColumns; ++j) {
      sums[r * kColumnBlock + j] = hn::GetLane(hn::SumOfLanes(d, total[r][j]));
    }
  }
}

// All rows of a against kColumns rows of b.
template <int kColumns, typename T>
HWY_INLINE void AllRows(const float* a, int64_t rows, const T* b, int64_t b_ld,
                        int64_t k, float* sums) {
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    Dots<4, kColumns>(a + r * k, b, b_ld, k, sums + r * kColumnBlock);
  }
  for (; r + 2 <= rows; r += 2) {
    Dots<2, kColumns>(a + r * k, b, b_ld, k, sums + r * kColumnBlock);
  }
  if (r < rows)
    Dots<1, kColumns>(a + r * k, b, b_ld, k, sums + r * kColumnBlock);
}

// Columns [begin, end) of the product, at most kColumnBlock.
absl::Status FewRowsBlock(const cpu::Gemm& gemm, const float* a, int64_t begin,
                          int64_t end, float* sums) {
  return DispatchFloat(gemm.in_dtype, "matmul", [&](auto zero) {
    using T = decltype(zero);
    const int64_t ld = gemm.b.layout.ld;
    const T* b = static_cast<const T*>(gemm.b.data) + begin * ld;
    int64_t j = begin;
    for (; j + 2 <= end; j += 2, b += 2 * ld) {
      AllRows<2>(a, gemm.m, b, ld, gemm.k, sums + (j - begin));
    }
    if (j < end) AllRows<1>(a, gemm.m, b, ld, gemm.k, sums + (j - begin));
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {

HWY_EXPORT(FewRowsBlock);

namespace cpu {
namespace {

constexpr int64_t kMostRows = 8;
constexpr int64_t kTermsAThread = 1 << 15;

const char* At(const void* data, DType dtype, int64_t element) {
  return static_cast<const char*>(data) +
         element * static_cast<int64_t>(SizeOf(dtype));
}

// Adds the bias to the sums of columns [begin, end) and stores them.
void FinishBlock(const Gemm& gemm, int64_t begin, int64_t end, float* sums) {
  const int64_t count = end - begin;
  float bias[HWY_NAMESPACE::kColumnBlock] = {};
  if (gemm.bias != nullptr) {
    ToFloat(At(gemm.bias, gemm.bias_dtype, begin), gemm.bias_dtype, count,
            bias);
  }
  for (int64_t r = 0; r < gemm.m; ++r) {
    float* row = sums + r * HWY_NAMESPACE::kColumnBlock;
    for (int64_t j = 0; j < count; ++j) row[j] += bias[j];
    FromFloat(
        row, count, gemm.c_dtype,
        const_cast<char*>(At(gemm.c, gemm.c_dtype, r * gemm.c_ld + begin)));
  }
}

}  // namespace

bool HasFewRows(const Gemm& gemm) {
  return gemm.m <= kMostRows && !gemm.a.layout.transposed &&
         gemm.b.layout.transposed && !gemm.accumulate;
}

absl::Status MultiplyFewRows(const Gemm& gemm, Device& device) {
  EISBACH_ASSIGN_OR_RETURN(const std::shared_ptr<Storage> storage,
                           device.Allocate(gemm.m * gemm.k * sizeof(float)));
  float* a = static_cast<float*>(storage->data());
  for (int64_t r = 0; r < gemm.m; ++r) {
    ToFloat(At(gemm.a.data, gemm.in_dtype, r * gemm.a.layout.ld), gemm.in_dtype,
            gemm.k, a + r * gemm.k);
  }
  const int64_t grain = std::max<int64_t>(1, kTermsAThread / gemm.k);
  eisbach::cpu::ParallelFor(gemm.n, grain, [&](int64_t begin, int64_t end) {
    constexpr int64_t kBlock = HWY_NAMESPACE::kColumnBlock;
    float sums[kMostRows * kBlock];
    for (int64_t j = begin; j < end; j += kBlock) {
      const int64_t last = std::min(j + kBlock, end);
      // The dtype has been checked.
      HWY_DYNAMIC_DISPATCH(FewRowsBlock)(gemm, a, j, last, sums).IgnoreError();
      FinishBlock(gemm, j, last, sums);
    }
  });
  return absl::OkStatus();
}

}  // namespace cpu
}  // namespace eisbach::ops
#endif  // HWY_ONCE
