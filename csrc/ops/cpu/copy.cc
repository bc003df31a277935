#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "device/cpu/parallel_for.h"
#include "ops/copy_dims.h"
#include "ops/elementwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/copy.cc"
#include "hwy/foreach_target.h"
#include "ops/cpu/simd-inl.h"
#include "ops/cpu/simd_kernel.h"

HWY_BEFORE_NAMESPACE();
namespace eisbach::ops::HWY_NAMESPACE {

// Converts n contiguous elements; both dtypes are f32, bf16 or f16.
absl::Status ConvertFloats(DType from_dtype, const void* from, DType to_dtype,
                           void* to, int64_t n) {
  return DispatchFloat(from_dtype, "copy", [&](auto from_type) {
    return DispatchFloat(to_dtype, "copy", [&](auto to_type) {
      const auto* source = static_cast<const decltype(from_type)*>(from);
      auto* target = static_cast<decltype(to_type)*>(to);
      ForEachVector(0, n, [&](int64_t i, auto lanes) HWY_ATTR {
        Store(Load(source + i, lanes), target + i, lanes);
      });
      return absl::OkStatus();
    });
  });
}

}  // namespace eisbach::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace eisbach::ops {
HWY_EXPORT(ConvertFloats);

namespace {

constexpr int64_t kChunk = 16384;  // elements of a row in one piece of work
constexpr int64_t kTile = 16;      // side of a piece of a transposition

// The float nearest to `value` in the direction that keeps a second rounding
// to fewer bits exact (round to odd).
float ToOddFloat(double value) {
  const float nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value) ||
      std::isinf(nearest) || (std::bit_cast<uint32_t>(nearest) & 1u) != 0) {
    return nearest;
  }
  const float limit = static_cast<double>(nearest) < value
                          ? std::numeric_limits<float>::infinity()
                          : -std::numeric_limits<float>::infinity();
  return std::nextafter(nearest, limit);
}

template <typename To, typename From>
To ConvertElement(From value) {
  if constexpr (std::is_same_v<From, To>) {
    return value;
  } else if constexpr (std::is_integral_v<From>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_same_v<From, double>) {
    if constexpr (std::is_same_v<To, float>) return static_cast<float>(value);
    return To(ToOddFloat(value));
  } else {
    return static_cast<To>(static_cast<float>(value));
  }
}

template <typename From, typename To>
void CopyRow(const From* from, int64_t from_stride, To* to, int64_t to_stride,
             int64_t n) {
  if (from_stride == 1 && to_stride == 1) {
    if constexpr (std::is_same_v<From, To>) {
      std::memcpy(static_cast<void*>(to), from, n * sizeof(From));
      return;
    } else if constexpr (!std::is_integral_v<From> &&
                         !std::is_same_v<From, double> &&
                         !std::is_same_v<To, double>) {
      (void)HWY_DYNAMIC_DISPATCH(ConvertFloats)(DTypeOf<From>::value, from,
                                                DTypeOf<To>::value, to, n);
      return;
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    to[i * to_stride] = ConvertElement<To>(from[i * from_stride]);
  }
}

// Copies a.size rows of b.size elements, at element offsets into both tensors.
using TileCopy = void (*)(const void* from, int64_t from_offset, void* to,
                          int64_t to_offset, const CopyDim& a,
                          const CopyDim& b);

template <typename From, typename To>
void CopyTile(const void* from, int64_t from_offset, void* to,
              int64_t to_offset, const CopyDim& a, const CopyDim& b) {
  const From* source = static_cast<const From*>(from) + from_offset;
  To* target = static_cast<To*>(to) + to_offset;
  for (int64_t i = 0; i < a.size; ++i) {
    CopyRow(source + i * a.from_stride, b.from_stride, target + i * a.to_stride,
            b.to_stride, b.size);
  }
}

template <typename From>
TileCopy FloatCopy(DType to) {
  switch (to) {
    case DType::kF32:
      return CopyTile<From, float>;
    case DType::kBF16:
      return CopyTile<From, BFloat16>;
    case DType::kF16:
      return CopyTile<From, Float16>;
    default:
      return CopyTile<From, double>;
  }
}

template <typename From>
TileCopy IntCopy(DType to) {
  switch (to) {
    case DType::kI32:
      return CopyTile<From, int32_t>;
    case DType::kI64:
      return CopyTile<From, int64_t>;
    case DType::kU8:
      return CopyTile<From, uint8_t>;
    default:
      return CopyTile<From, uint16_t>;
  }
}

// Both are float or both integer: Copy has checked it.
TileCopy FindCopy(DType from, DType to) {
  switch (from) {
    case DType::kF32:
      return FloatCopy<float>(to);
    case DType::kBF16:
      return FloatCopy<BFloat16>(to);
    case DType::kF16:
      return FloatCopy<Float16>(to);
    case DType::kF64:
      return FloatCopy<double>(to);
    case DType::kI32:
      return IntCopy<int32_t>(to);
    case DType::kI64:
      return IntCopy<int64_t>(to);
    case DType::kU8:
      return IntCopy<uint8_t>(to);
    case DType::kU16:
      return IntCopy<uint16_t>(to);
  }
  return nullptr;
}

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The work is cut into pieces: parts of the rows along the fastest dimension
// of `to` where `from` is contiguous there too, else square tiles of that
// dimension and the fastest one of `from`, so that both are read and written
// by whole cache lines.
absl::Status CpuCopy(const CopyArgs& args, Stream&) {
  if (args.from.elements() == 0) return absl::OkStatus();
  CopyDims dims = MergedCopyDims(args.from, args.to);
  const CopyDim column = TakeFasterColumn(dims);
  const CopyDim row = dims.back();
  dims.pop_back();
  const int64_t length = column.size == 1 ? kChunk : kTile;
  const int64_t across = CeilDiv(row.size, length);
  const int64_t down = CeilDiv(column.size, kTile);
  const int64_t planes = args.from.elements() / (row.size * column.size);
  const int64_t grain =
      kChunk / (std::min(row.size, length) * std::min(column.size, kTile));
  const TileCopy copy = FindCopy(args.from.dtype(), args.to.dtype());
  cpu::ParallelFor(
      planes * down * across, grain, [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
          const int64_t j = piece % across * length;
          const int64_t i = piece / across % down * kTile;
          int64_t from_offset = i * column.from_stride + j * row.from_stride;
          int64_t to_offset = i * column.to_stride + j * row.to_stride;
          int64_t plane = piece / (across * down);
          for (size_t d = dims.size(); d-- > 0; plane /= dims[d].size) {
            from_offset += plane % dims[d].size * dims[d].from_stride;
            to_offset += plane % dims[d].size * dims[d].to_stride;
          }
          CopyDim a = column, b = row;
          a.size = std::min(kTile, column.size - i);
          b.size = std::min(length, row.size - j);
          copy(args.from.raw(), from_offset, args.to.raw(), to_offset, a, b);
        }
      });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(CopySlot, DeviceType::kCpu, &CpuCopy);

}  // namespace
}  // namespace eisbach::ops
#endif
