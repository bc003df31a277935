#include "ops/dropout.h"

#include <algorithm>

#include "core/philox.h"
#include "device/cpu/parallel_for.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/dropout.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {
namespace {

constexpr int64_t kGrain = 2048;  // elements a thread
constexpr int64_t kChunk = 1024;  // features whose bits are made at a time

#if HWY_TARGET == HWY_SCALAR

// Bits of the features from 4 * first_quad on, four a counter; writes whole
// vectors, at least `quads` quads.
void QuadBits(int64_t first_quad, int64_t quads, const PhiloxCounter& rest,
              PhiloxKey key, uint32_t* bits) {
  for (int64_t q = 0; q < quads; ++q) {
    const PhiloxCounter words = Philox(
        {static_cast<uint32_t>(first_quad + q), rest[1], rest[2], rest[3]},
        key);
    std::copy(words.begin(), words.end(), bits + 4 * q);
  }
}

#else

// The low and high halves of a * b in every lane.
HWY_INLINE void WideMul(VU a, VU b, VU& low, VU& high) {
  const hn::Repartition<uint64_t, DU> du64;
  const DU du;
  const auto even = hn::MulEven(a, b);
  const auto odd =
      hn::MulEven(hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(du64, a))),
                  hn::BitCast(du, hn::ShiftRight<32>(hn::BitCast(du64, b))));
  low = hn::OddEven(hn::BitCast(du, hn::ShiftLeft<32>(odd)),
                    hn::BitCast(du, even));
  high = hn::OddEven(hn::BitCast(du, odd),
                     hn::BitCast(du, hn::ShiftRight<32>(even)));
}

// core/philox.h for one counter in each lane.
HWY_INLINE void PhiloxLanes(VU& c0, VU& c1, VU& c2, VU& c3, PhiloxKey key) {
  const DU du;
  for (int round = 0; round < 10; ++round) {
    VU low0, high0, low1, high1;
    WideMul(c0, hn::Set(du, 0xD2511F53u), low0, high0);
    WideMul(c2, hn::Set(du, 0xCD9E8D57u), low1, high1);
    c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(du, key[0]));
    c1 = low1;
    c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(du, key[1]));
    c3 = low0;
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
}

// Bits of the features from 4 * first_quad on, four a counter; writes whole
// vectors, at least `quads` quads.
void QuadBits(int64_t first_quad, int64_t quads, const PhiloxCounter& rest,
              PhiloxKey key, uint32_t* bits) {
  const DU du;
  const int64_t length = VectorLength();
  for (int64_t q = 0; q < quads; q += length) {
    VU c0 = hn::Add(hn::Iota(du, 0u),
                    hn::Set(du, static_cast<uint32_t>(first_quad + q)));
    VU c1 = hn::Set(du, rest[1]);
    VU c2 = hn::Set(du, rest[2]);
    VU c3 = hn::Set(du, rest[3]);
    PhiloxLanes(c0, c1, c2, c3, key);
    hn::StoreInterleaved4(c0, c1, c2, c3, du, bits + 4 * q);
  }
}

#endif  // HWY_TARGET == HWY_SCALAR

// The bits of a partial vector lie past its end in the buffer: reading them is
// harmless, as the lanes are not stored.
template <typename T>
void ApplyMask(const T* x, const uint32_t* bits, int64_t n, int32_t threshold,
               float scale, T* y) {
  const DI di;
  ForEachVector(0, n, [&](int64_t i, auto lanes) HWY_ATTR {
    const VU u = hn::LoadU(DU(), bits + i);
    const VI top = hn::BitCast(di, hn::ShiftRight<8>(u));
    const auto dropped =
        hn::RebindMask(DF(), hn::Lt(top, hn::Set(di, threshold)));
    const VF v = hn::Mul(Load(x + i, lanes), Splat(scale));
    Store(hn::IfThenZeroElse(dropped, v), y + i, lanes);
  });
}

template <typename T>
void DropoutRow(const T* x, int64_t width, int64_t first_feature,
                const PhiloxCounter& rest, PhiloxKey key, int32_t threshold,
                float scale, T* y) {
  uint32_t bits[kChunk + 12 * hn::MaxLanes(DU())];
  for (int64_t begin = 0; begin < width; begin += kChunk) {
    const int64_t n = std::min(kChunk, width - begin);
    const int64_t feature = first_feature + begin;
    const int64_t skip = feature % 4;
    QuadBits(feature / 4, (skip + n + 3) / 4, rest, key, bits);
    ApplyMask(x + begin, bits + skip, n, threshold, scale, y + begin);
  }
}

}  // namespace

absl::Status Dropout(const DropoutArgs& args, Stream&) {
  const bool all = args.source.positions == 0;
  const int64_t positions = all ? args.x.dim(1) : args.source.positions;
  const int64_t first_row = all ? 0 : args.source.first_row;
  const int64_t width = args.x.dim(2);
  if (args.x.elements() == 0) return absl::OkStatus();
  const uint64_t step =
      static_cast<uint64_t>(*args.source.step.data<int64_t>());
  const int64_t* samples = args.source.sample_index.data<int64_t>();
  const int32_t threshold = static_cast<int32_t>(DropoutThreshold(args.p));
  const float scale = DropoutScale(DropoutThreshold(args.p));
  return DispatchFloat(args.x.dtype(), "dropout", [&](auto type) {
    using T = decltype(type);
    const T* x = args.x.data<T>();
    T* y = args.y.data<T>();
    cpu::ParallelFor(
        args.x.elements() / width, kGrain / (width + 1) + 1,
        [&](int64_t begin, int64_t end) {
          for (int64_t r = begin; r < end; ++r) {
            const int64_t row = first_row + r;
            const uint64_t sample =
                static_cast<uint64_t>(samples[row / positions]);
            const PhiloxCounter rest =
                DropoutCounter(0, row % positions, sample, step);
            DropoutRow(
                x + r * width, width, args.source.first_feature, rest,
                DropoutKey(args.source.seed, args.source.layer, sample, step),
                threshold, scale, y + r * width);
          }
        });
    return absl::OkStatus();
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
EISBACH_REGISTER_SIMD_KERNEL(Dropout);
}  // namespace eisbach::ops
#endif
