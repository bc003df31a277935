// The pieces of tiled attention for one Highway target: a register-blocked
// product of small f32 tiles, transposition, 2^x and packing. Included by
// foreach_target files, once a target.

#include "ops/cpu/attention_tile.h"

#if defined(EISBACH_OPS_CPU_ATTENTION_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef EISBACH_OPS_CPU_ATTENTION_TILE_INL_H_
#undef EISBACH_OPS_CPU_ATTENTION_TILE_INL_H_
#else
#define EISBACH_OPS_CPU_ATTENTION_TILE_INL_H_
#endif

#include "hwy/highway.h"
#include "ops/cpu/convert-inl.h"
#include "ops/cpu/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::cpu::HWY_NAMESPACE {

using Floats = hn::ScalableTag<float>;
using FloatVector = hn::Vec<Floats>;

// Rows of the result that are held in registers beside two vectors of columns:
// 12 of 16 registers on AVX2, 16 of 32 on AVX-512 and NEON.
#undef EISBACH_TILE_ROWS
#if HWY_TARGET == HWY_AVX3 || HWY_ARCH_ARM_A64
#define EISBACH_TILE_ROWS 8
#else
#define EISBACH_TILE_ROWS 6
#endif

// What the operands of a product are made of, and how it multiplies.
struct FloatTerms {
  using Element = float;
  using Vector = FloatVector;
  static constexpr int64_t kTerms = 1;  // that an element holds
  static HWY_INLINE Vector Load(const Element* p) {
    return hn::LoadU(Floats(), p);
  }
  static HWY_INLINE Vector Set(Element x) { return hn::Set(Floats(), x); }
  static HWY_INLINE FloatVector MulAdd(Vector a, Vector b, FloatVector sum) {
    return hn::MulAdd(a, b, sum);
  }
};

// c[kRows, kVectors] (+)= sum over p of a(row, p) * b[p], with a(row, p) at
// row * lda + p, or at p * lda + row when transposed.
template <class Terms, int kRows, int kVectors, bool kTransposed>
HWY_INLINE void MicroProduct(const typename Terms::Element* HWY_RESTRICT a,
                             int64_t lda,
                             const typename Terms::Element* HWY_RESTRICT b,
                             int64_t ldb, int64_t k, bool accumulate,
                             float* HWY_RESTRICT c, int64_t ldc) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  FloatVector sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      sums[r][v] =
          accumulate ? hn::LoadU(d, c + r * ldc + v * lanes) : hn::Zero(d);
    }
  }
  for (int64_t p = 0; p < k; ++p) {
    typename Terms::Vector columns[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      columns[v] = Terms::Load(b + v * lanes);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const auto factor = Terms::Set(kTransposed ? a[r] : a[r * lda]);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        sums[r][v] = Terms::MulAdd(factor, columns[v], sums[r][v]);
      }
    }
    a += kTransposed ? lda : 1;
    b += ldb;
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      hn::StoreU(sums[r][v], d, c + r * ldc + v * lanes);
    }
  }
}

template <class Terms, int kVectors, bool kTransposed>
HWY_INLINE void RowsProduct(int64_t rows, const typename Terms::Element* a,
                            int64_t lda, const typename Terms::Element* b,
                            int64_t ldb, int64_t k, bool accumulate, float* c,
                            int64_t ldc) {
  switch (rows) {
#define EISBACH_CASE(n)                                                     \
  case n:                                                                   \
    return MicroProduct<Terms, n, kVectors, kTransposed>(a, lda, b, ldb, k, \
                                                         accumulate, c, ldc)
    EISBACH_CASE(1);
    EISBACH_CASE(2);
    EISBACH_CASE(3);
    EISBACH_CASE(4);
    EISBACH_CASE(5);
#if EISBACH_TILE_ROWS == 8
    EISBACH_CASE(6);
    EISBACH_CASE(7);
    default:
      return MicroProduct<Terms, 8, kVectors, kTransposed>(a, lda, b, ldb, k,
                                                           accumulate, c, ldc);
#else
    default:
      return MicroProduct<Terms, 6, kVectors, kTransposed>(a, lda, b, ldb, k,
                                                           accumulate, c, ldc);
#endif
#undef EISBACH_CASE
  }
}

// c[rows, columns] (+)= a[rows, k] · b[k, columns], with k counted in elements;
// `columns` is a multiple of the vector length. What `part` leaves out is not
// computed, but for terms that share an element with one that is not left out.
template <Part kPart, bool kTransposed, class Terms = FloatTerms>
HWY_NOINLINE void TileProduct(int64_t rows, int64_t columns, int64_t k,
                              const typename Terms::Element* a, int64_t lda,
                              const typename Terms::Element* b, int64_t ldb,
                              bool accumulate, float* c, int64_t ldc) {
  const int64_t lanes = hn::Lanes(Floats());
  for (int64_t j = 0; j < columns;) {
    const bool pair = j + 2 * lanes <= columns;
    for (int64_t i = 0; i < rows; i += EISBACH_TILE_ROWS) {
      const int64_t count = HWY_MIN(EISBACH_TILE_ROWS, rows - i);
      if (kPart == Part::kColumnsToRow && j >= i + count) continue;
      constexpr int64_t kTerms = Terms::kTerms;
      const int64_t first =
          kPart == Part::kTermsFromRow ? HWY_MIN(i / kTerms, k) : 0;
      const int64_t last = kPart == Part::kTermsToRow
                               ? HWY_MIN((i + count + kTerms - 1) / kTerms, k)
                               : k;
      const auto* a_i = kTransposed ? a + first * lda + i : a + i * lda + first;
      const auto* b_j = b + first * ldb + j;
      float* c_ij = c + i * ldc + j;
      if (pair) {
        RowsProduct<Terms, 2, kTransposed>(count, a_i, lda, b_j, ldb,
                                           last - first, accumulate, c_ij, ldc);
      } else {
        RowsProduct<Terms, 1, kTransposed>(count, a_i, lda, b_j, ldb,
                                           last - first, accumulate, c_ij, ldc);
      }
    }
    j += pair ? 2 * lanes : lanes;
  }
}

// 2^x to 2 ulp for x in [-125, 127], 0 below, NaN for NaN. The rounding
// constant leaves the integer part in the low bits of the sum.
HWY_INLINE FloatVector Exp2(Floats d, FloatVector x) {
  const hn::RebindToSigned<Floats> di;
  const auto magic = hn::Set(d, 12582912.0f);  // 1.5 * 2^23
  const auto shifted = hn::Add(x, magic);
  const auto r = hn::Sub(x, hn::Sub(shifted, magic));
  // Minimax on [-1/2, 1/2], relative error 1.6e-8.
  auto p = hn::Set(d, 0x1.41fbbap-13f);
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.5f3e54p-10f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.3b2d4cp-7f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.c6aee8p-5f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.ebfbdcp-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 0x1.62e430p-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted));
  const auto scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, p), exponent));
  const auto in_range = hn::Ge(x, hn::Set(d, -125.0f));
  return hn::IfThenElse(in_range, scaled, hn::Mul(x, hn::Zero(d)));
}

// tanh to 2 ulp, NaN for NaN.
HWY_INLINE FloatVector Tanh(Floats d, FloatVector x) {
  const auto e = Exp2(d, hn::Mul(hn::Abs(x), hn::Set(d, -2.88539008f)));
  return ops::HWY_NAMESPACE::TanhBy(d, x, e);
}

// to[j, i] = from[i, j] for i < rows, j < columns; columns i >= rows of `to`
// become zero as far as TileProduct reads them for a tile on the diagonal.
inline void TransposeTile(const float* HWY_RESTRICT from, int64_t ld,
                          int64_t rows, int64_t columns,
                          float* HWY_RESTRICT to) {
  int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> d;
  const hn::RepartitionToWide<hn::RebindToUnsigned<decltype(d)>> wide;
  const auto pair = [&](auto v) { return hn::BitCast(wide, v); };
  for (; i + 4 <= rows; i += 4) {
    const float* x = from + i * ld;
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      const auto r0 = hn::LoadU(d, x + j), r1 = hn::LoadU(d, x + ld + j);
      const auto r2 = hn::LoadU(d, x + 2 * ld + j);
      const auto r3 = hn::LoadU(d, x + 3 * ld + j);
      const auto low01 = pair(hn::InterleaveLower(d, r0, r1));
      const auto low23 = pair(hn::InterleaveLower(d, r2, r3));
      const auto high01 = pair(hn::InterleaveUpper(d, r0, r1));
      const auto high23 = pair(hn::InterleaveUpper(d, r2, r3));
      float* y = to + j * kTileStride + i;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, y);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d,
                 y + kTileStride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d,
                 y + 2 * kTileStride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d,
                 y + 3 * kTileStride);
    }
    for (; j < columns; ++j) {
      for (int64_t r = 0; r < 4; ++r)
        to[j * kTileStride + i + r] = x[r * ld + j];
    }
  }
#endif
  for (; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      to[j * kTileStride + i] = from[i * ld + j];
  }
  const int64_t read = HWY_MIN(kTile, RoundUp(rows, 2 * hn::Lanes(Floats())));
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t r = rows; r < read; ++r) to[j * kTileStride + r] = 0.0f;
  }
}

inline void ScaleRow(float* x, int64_t n, float factor) {
  const Floats d;
  const auto f = hn::Set(d, factor);
  for (int64_t j = 0; j < n; j += hn::Lanes(d)) {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + j), f), d, x + j);
  }
}

// Columns of a head that are computed: whole vectors.
HWY_INLINE int64_t Columns(const AttentionSizes& s) {
  return RoundUp(s.head_dim, hn::Lanes(Floats()));
}

// Hardware does not foresee heads that lie a packed row apart.
template <typename T>
HWY_INLINE void PrefetchHead(const T* head, int64_t dim) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t j = 0; j < dim; j += kLine) __builtin_prefetch(head + j);
}
constexpr int64_t kPrefetchRows = 8;

// `rows` heads that lie `ld` apart to f32 rows of s.stride, times `factor`.
// Columns of the last vector past the head are zero.
template <typename T>
void PackRows(const AttentionSizes& s, const T* from, int64_t ld, int64_t rows,
              float factor, float* to) {
  const int64_t columns = Columns(s);
  for (int64_t i = 0; i < rows; ++i, from += ld, to += s.stride) {
    if (i + kPrefetchRows < rows) {
      PrefetchHead(from + kPrefetchRows * ld, s.head_dim);
    }
    ConvertToFloat(from, s.head_dim, to);
    for (int64_t j = s.head_dim; j < columns; ++j) to[j] = 0.0f;
    if (factor != 1.0f) ScaleRow(to, columns, factor);
  }
}

// The reverse of PackRows; scales `from` in place.
template <typename T>
void UnpackRows(const AttentionSizes& s, float* from, int64_t rows, int64_t ld,
                float factor, T* to) {
  for (int64_t i = 0; i < rows; ++i, from += s.stride, to += ld) {
    if (factor != 1.0f) ScaleRow(from, Columns(s), factor);
    ConvertFromFloat(from, s.head_dim, to);
  }
}

}  // namespace eisbach::ops::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
