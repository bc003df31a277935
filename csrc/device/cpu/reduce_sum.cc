#include "device/cpu/reduce_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "device/cpu/reduce_sum.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using U32 = hn::RebindToUnsigned<F32>;

// f32 and bf16 as vectors of f32.
struct AsF32 {
  using T = float;
  static HWY_INLINE hn::Vec<F32> Load(const float* from) {
    return hn::LoadU(F32(), from);
  }
  static HWY_INLINE void Store(hn::Vec<F32> v, float* to) {
    hn::StoreU(v, F32(), to);
  }
};
struct AsBF16 {
  using T = BFloat16;
  using U16 = hn::Rebind<uint16_t, F32>;
  static HWY_INLINE hn::Vec<F32> Load(const BFloat16* from) {
    const auto bits = hn::LoadU(U16(), reinterpret_cast<const uint16_t*>(from));
    return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(U32(), bits)));
  }
  // As BFloat16(float): to nearest even, NaN made quiet.
  static HWY_INLINE void Store(hn::Vec<F32> v, BFloat16* to) {
    const U32 u32;
    const auto u = hn::BitCast(u32, v);
    const auto high = hn::ShiftRight<16>(u);
    const auto odd = hn::And(high, hn::Set(u32, 1));
    const auto rounded =
        hn::ShiftRight<16>(hn::Add(u, hn::Add(odd, hn::Set(u32, 0x7fff))));
    const auto nan = hn::Or(high, hn::Set(u32, 0x40));
    const auto is_nan = hn::RebindMask(u32, hn::IsNaN(v));
    const auto chosen = hn::IfThenElse(is_nan, nan, rounded);
    hn::StoreU(
        hn::DemoteTo(U16(), hn::BitCast(hn::RebindToSigned<U32>(), chosen)),
        U16(), reinterpret_cast<uint16_t*>(to));
  }
};

template <typename Format>
HWY_INLINE void Sum(const void* const* inputs, size_t num_inputs,
                    void* const* outputs, size_t num_outputs,
                    int64_t elements) {
  using T = typename Format::T;
  constexpr int kUnroll = 4;  // vectors
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(F32()));
  const auto in = [&](size_t k) { return static_cast<const T*>(inputs[k]); };
  const auto out = [&](size_t k) { return static_cast<T*>(outputs[k]); };
  int64_t i = 0;
  for (; i + kUnroll * lanes <= elements; i += kUnroll * lanes) {
    const T* first = in(0) + i;
    auto a = Format::Load(first);
    auto b = Format::Load(first + lanes);
    auto c = Format::Load(first + 2 * lanes);
    auto d = Format::Load(first + 3 * lanes);
    for (size_t k = 1; k < num_inputs; ++k) {
      const T* next = in(k) + i;
      a = hn::Add(a, Format::Load(next));
      b = hn::Add(b, Format::Load(next + lanes));
      c = hn::Add(c, Format::Load(next + 2 * lanes));
      d = hn::Add(d, Format::Load(next + 3 * lanes));
    }
    for (size_t k = 0; k < num_outputs; ++k) {
      T* to = out(k) + i;
      Format::Store(a, to);
      Format::Store(b, to + lanes);
      Format::Store(c, to + 2 * lanes);
      Format::Store(d, to + 3 * lanes);
    }
  }
  for (; i < elements; ++i) {
    float sum = static_cast<float>(in(0)[i]);
    for (size_t k = 1; k < num_inputs; ++k) {
      sum = sum + static_cast<float>(in(k)[i]);
    }
    for (size_t k = 0; k < num_outputs; ++k) out(k)[i] = T(sum);
  }
}

void SumF32(const void* const* inputs, size_t num_inputs, void* const* outputs,
            size_t num_outputs, int64_t elements) {
  Sum<AsF32>(inputs, num_inputs, outputs, num_outputs, elements);
}

void SumBF16(const void* const* inputs, size_t num_inputs, void* const* outputs,
             size_t num_outputs, int64_t elements) {
  Sum<AsBF16>(inputs, num_inputs, outputs, num_outputs, elements);
}

}  // namespace eisbach::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::cpu {

HWY_EXPORT(SumF32);
HWY_EXPORT(SumBF16);

void SumF32(const void* const* inputs, size_t num_inputs, void* const* outputs,
            size_t num_outputs, int64_t elements) {
  HWY_DYNAMIC_DISPATCH(SumF32)
  (inputs, num_inputs, outputs, num_outputs, elements);
}

void SumBF16(const void* const* inputs, size_t num_inputs, void* const* outputs,
             size_t num_outputs, int64_t elements) {
  HWY_DYNAMIC_DISPATCH(SumBF16)
  (inputs, num_inputs, outputs, num_outputs, elements);
}

}  // namespace eisbach::cpu
#endif  // HWY_ONCE
