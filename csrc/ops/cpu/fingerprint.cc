#include "ops/fingerprint.h"

#include <atomic>

#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/fingerprint.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

using D64 = hn::ScalableTag<uint64_t>;
using D32 = hn::Rebind<uint32_t, D64>;
using V32 = hn::Vec<D32>;

constexpr int64_t kFingerprintGrain = 65536;

HWY_INLINE V32 LoadBits(const uint32_t* x) { return hn::LoadU(D32(), x); }
HWY_INLINE V32 LoadBits(const uint16_t* x) {
  return hn::PromoteTo(D32(), hn::LoadU(hn::Rebind<uint16_t, D32>(), x));
}

HWY_INLINE V32 Mix(V32 bits, V32 index) {
  const D32 d;
  V32 h = hn::Xor(bits, hn::Mul(index, hn::Set(d, kIndexFactor)));
  h = hn::Mul(hn::Xor(h, hn::ShiftRight<16>(h)), hn::Set(d, kMixFactor1));
  h = hn::Mul(hn::Xor(h, hn::ShiftRight<13>(h)), hn::Set(d, kMixFactor2));
  return hn::Xor(h, hn::ShiftRight<16>(h));
}

template <typename Word>
uint64_t MixRange(const Word* x, int64_t begin, int64_t end) {
  const D64 d64;
  const D32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d64);
  V32 index = hn::Iota(d, static_cast<uint32_t>(begin));
  const V32 stride = hn::Set(d, static_cast<uint32_t>(lanes));
  int64_t i = begin;
  for (; i + lanes <= end; i += lanes) {
    const V32 mixed = Mix(LoadBits(x + i), index);
    sum = hn::Add(sum, hn::PromoteTo(d64, mixed));
    index = hn::Add(index, stride);
  }
  uint64_t total = hn::GetLane(hn::SumOfLanes(d64, sum));
  for (; i < end; ++i) total += MixElement(x[i], static_cast<uint32_t>(i));
  return total;
}

template <typename Word>
uint64_t MixAll(const void* data, int64_t n) {
  const Word* x = static_cast<const Word*>(data);
  std::atomic<uint64_t> total = 0;
  cpu::ParallelFor(n, kFingerprintGrain, [&](int64_t begin, int64_t end) {
    total += MixRange(x, begin, end);
  });
  return total;
}

}  // namespace

absl::Status Fingerprint(const FingerprintArgs& args, Stream&) {
  const int64_t n = args.x.elements();
  const uint64_t sum = args.x.dtype() == DType::kF32
                           ? MixAll<uint32_t>(args.x.raw(), n)
                           : MixAll<uint16_t>(args.x.raw(), n);
  *args.out.data<int64_t>() = static_cast<int64_t>(sum);
  return absl::OkStatus();
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(Fingerprint);
}  // namespace eisbach::ops
#endif
