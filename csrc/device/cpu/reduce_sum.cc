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

using Floats = hn::Vec<F32>;

struct AsF32 {
  using T = float;
  struct Value {
    Floats v;
  };
  static HWY_INLINE int64_t Lanes() {
    return static_cast<int64_t>(hn::Lanes(F32()));
  }
  static HWY_INLINE Value Load(const float* from) {
    return {hn::LoadU(F32(), from)};
  }
  static HWY_INLINE Value Add(Value a, Value b) { return {hn::Add(a.v, b.v)}; }
  static HWY_INLINE void Store(Value a, float* to) {
    hn::StoreU(a.v, F32(), to);
  }
};

#if HWY_TARGET != HWY_SCALAR
// Two bf16 lie in 32 bits: the one at the odd place is the upper half of an f32
// as it stands, the other after a shift. (The first byte is the lowest.)
struct AsBF16 {
  using T = BFloat16;
  struct Value {
    Floats even, odd;
  };
  static HWY_INLINE int64_t Lanes() { return 2 * AsF32::Lanes(); }
  static HWY_INLINE Value Load(const BFloat16* from) {
    const U32 u32;
    const hn::Repartition<uint16_t, U32> u16;
    const auto both = hn::BitCast(
        u32, hn::LoadU(u16, reinterpret_cast<const uint16_t*>(from)));
    return {hn::BitCast(F32(), hn::ShiftLeft<16>(both)),
            hn::BitCast(F32(), hn::And(both, hn::Set(u32, 0xffff0000u)))};
  }
  static HWY_INLINE Value LoadF32(const float* from) {
    Floats even, odd;
    hn::LoadInterleaved2(F32(), from, even, odd);
    return {even, odd};
  }
  static HWY_INLINE Value Add(Value a, Value b) {
    return {hn::Add(a.even, b.even), hn::Add(a.odd, b.odd)};
  }
  // The upper halves are as BFloat16(float): to nearest even, NaN made quiet.
  static HWY_INLINE hn::Vec<U32> Round(Floats v) {
    const U32 u32;
    const auto u = hn::BitCast(u32, v);
    const auto odd = hn::And(hn::ShiftRight<16>(u), hn::Set(u32, 1));
    const auto rounded = hn::Add(hn::Add(u, hn::Set(u32, 0x7fff)), odd);
    return hn::IfThenElse(hn::RebindMask(u32, hn::IsNaN(v)),
                          hn::Or(u, hn::Set(u32, 0x400000)), rounded);
  }
  static HWY_INLINE void Store(Value a, BFloat16* to) {
    const U32 u32;
    const hn::Repartition<uint16_t, U32> u16;
    const auto both = hn::Or(hn::ShiftRight<16>(Round(a.even)),
                             hn::And(Round(a.odd), hn::Set(u32, 0xffff0000u)));
    hn::StoreU(hn::BitCast(u16, both), u16, reinterpret_cast<uint16_t*>(to));
  }
};

#endif

// One element after the other, from `begin` on.
template <typename T>
HWY_INLINE void SumOneByOne(const void* const* inputs, size_t num_inputs,
                            void* const* outputs, size_t num_outputs,
                            int64_t begin, int64_t elements) {
  for (int64_t i = begin; i < elements; ++i) {
    float sum = static_cast<float>(static_cast<const T*>(inputs[0])[i]);
    for (size_t k = 1; k < num_inputs; ++k) {
      sum = sum + static_cast<float>(static_cast<const T*>(inputs[k])[i]);
    }
    for (size_t k = 0; k < num_outputs; ++k) {
      static_cast<T*>(outputs[k])[i] = T(sum);
    }
  }
}

template <typename Format>
HWY_INLINE void Sum(const void* const* inputs, size_t num_inputs,
                    void* const* outputs, size_t num_outputs,
                    int64_t elements) {
  using T = typename Format::T;
  const int64_t lanes = Format::Lanes();
  const auto in = [&](size_t k) { return static_cast<const T*>(inputs[k]); };
  const auto out = [&](size_t k) { return static_cast<T*>(outputs[k]); };
  int64_t i = 0;
  for (; i + 2 * lanes <= elements; i += 2 * lanes) {
    auto a = Format::Load(in(0) + i);
    auto b = Format::Load(in(0) + i + lanes);
    for (size_t k = 1; k < num_inputs; ++k) {
      a = Format::Add(a, Format::Load(in(k) + i));
      b = Format::Add(b, Format::Load(in(k) + i + lanes));
    }
    for (size_t k = 0; k < num_outputs; ++k) {
      Format::Store(a, out(k) + i);
      Format::Store(b, out(k) + i + lanes);
    }
  }
  SumOneByOne<T>(inputs, num_inputs, outputs, num_outputs, i, elements);
}

void SumF32(const void* const* inputs, size_t num_inputs, void* const* outputs,
            size_t num_outputs, int64_t elements) {
  Sum<AsF32>(inputs, num_inputs, outputs, num_outputs, elements);
}

void SumBF16(const void* const* inputs, size_t num_inputs, void* const* outputs,
             size_t num_outputs, int64_t elements) {
#if HWY_TARGET != HWY_SCALAR
  Sum<AsBF16>(inputs, num_inputs, outputs, num_outputs, elements);
#else
  SumOneByOne<BFloat16>(inputs, num_inputs, outputs, num_outputs, 0, elements);
#endif
}

void SumNextBF16(const float* before, const void* const* inputs,
                 size_t num_inputs, float* sums, BFloat16* rounded,
                 int64_t elements) {
  const auto in = [&](size_t k) {
    return static_cast<const BFloat16*>(inputs[k]);
  };
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  for (; i + AsBF16::Lanes() <= elements; i += AsBF16::Lanes()) {
    size_t k = before != nullptr ? 0 : 1;
    AsBF16::Value a = before != nullptr ? AsBF16::LoadF32(before + i)
                                        : AsBF16::Load(in(0) + i);
    for (; k < num_inputs; ++k) a = AsBF16::Add(a, AsBF16::Load(in(k) + i));
    if (sums != nullptr) {
      hn::StoreInterleaved2(a.even, a.odd, F32(), sums + i);
    } else {
      AsBF16::Store(a, rounded + i);
    }
  }
#endif
  for (; i < elements; ++i) {
    size_t k = 0;
    float sum = before != nullptr ? before[i] : static_cast<float>(in(k++)[i]);
    for (; k < num_inputs; ++k) sum = sum + static_cast<float>(in(k)[i]);
    if (sums != nullptr) {
      sums[i] = sum;
    } else {
      rounded[i] = BFloat16(sum);
    }
  }
}

}  // namespace eisbach::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::cpu {

HWY_EXPORT(SumF32);
HWY_EXPORT(SumBF16);
HWY_EXPORT(SumNextBF16);

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

void SumNextBF16(const float* before, const void* const* inputs,
                 size_t num_inputs, float* sums, BFloat16* rounded,
                 int64_t elements) {
  HWY_DYNAMIC_DISPATCH(SumNextBF16)
  (before, inputs, num_inputs, sums, rounded, elements);
}

}  // namespace eisbach::cpu
#endif  // HWY_ONCE
