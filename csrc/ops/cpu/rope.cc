#include "ops/rope.h"

#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/rope.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "ops/cpu/convert-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

constexpr int64_t kRopeChunk = 64;  // pairs converted at a time

// (a, b) <- (a cos - b sin, b cos + a sin) for `half` pairs; the table holds
// cos and sin in turn. Each product is rounded before the sum, in the vector
// part as in the tail.
inline void Rotate(float* a, float* b, const float* table, float sign,
                   int64_t half) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = hn::Lanes(d);
  const auto signs = hn::Set(d, sign);
  int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    hn::Vec<decltype(d)> c, s;
    hn::LoadInterleaved2(d, table + 2 * i, c, s);
    s = hn::Mul(s, signs);
    const auto x = hn::LoadU(d, a + i);
    const auto y = hn::LoadU(d, b + i);
    hn::StoreU(hn::Sub(hn::Mul(x, c), hn::Mul(y, s)), d, a + i);
    hn::StoreU(hn::Add(hn::Mul(y, c), hn::Mul(x, s)), d, b + i);
  }
  for (; i < half; ++i) {
    const float c = table[2 * i], s = sign * table[2 * i + 1];
    const float x = a[i], y = b[i];
    a[i] = x * c - y * s;
    b[i] = y * c + x * s;
  }
}

inline void RotateHead(float* head, const float* table, float sign,
                       int64_t half) {
  Rotate(head, head + half, table, sign, half);
}

template <typename T>
void RotateHead(T* head, const float* table, float sign, int64_t half) {
  float a[kRopeChunk], b[kRopeChunk];
  for (int64_t i = 0; i < half; i += kRopeChunk) {
    const int64_t n = HWY_MIN(kRopeChunk, half - i);
    ConvertToFloat(head + i, n, a);
    ConvertToFloat(head + half + i, n, b);
    Rotate(a, b, table + 2 * i, sign, n);
    ConvertFromFloat(a, n, head + i);
    ConvertFromFloat(b, n, head + half + i);
  }
}

// Rows [begin, end) of [B * T]: query heads, then key heads, lie side by side.
template <typename T>
void RotateRows(const RopeArgs& args, int64_t begin, int64_t end) {
  const AttentionHeads& heads = args.heads;
  const int64_t half = args.table.dim(1);
  const float sign = args.inverse ? -1.0f : 1.0f;
  const int32_t* starts =
      args.starts.defined() ? args.starts.data<int32_t>() : nullptr;
  for (int64_t row = begin; row < end; ++row) {
    T* x = args.qkv.data<T>() + row * heads.packed_width();
    const int64_t position =
        row % args.qkv.dim(1) - (starts == nullptr ? 0 : starts[row]);
    const float* table = args.table.data<float>() + position * 2 * half;
    for (int64_t h = 0; h < heads.heads + heads.kv_heads; ++h) {
      RotateHead(x + h * heads.head_dim, table, sign, half);
    }
  }
}

absl::Status RopeRows(const RopeArgs& args, int64_t begin, int64_t end) {
  return DispatchFloat(args.qkv.dtype(), "rope", [&](auto zero) {
    RotateRows<decltype(zero)>(args, begin, end);
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops::cpu {
namespace {

HWY_EXPORT(RopeRows);

absl::Status RopeCpu(const RopeArgs& args, Stream&) {
  const int64_t rows = args.qkv.dim(0) * args.qkv.dim(1);
  eisbach::cpu::ParallelFor(rows, 16, [&](int64_t begin, int64_t end) {
    // The op has checked the dtype.
    HWY_DYNAMIC_DISPATCH(RopeRows)(args, begin, end).IgnoreError();
  });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(RopeSlot, DeviceType::kCpu, &RopeCpu);

}  // namespace
}  // namespace eisbach::ops::cpu
#endif  // HWY_ONCE
