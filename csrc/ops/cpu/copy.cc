#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "absl/container/inlined_vector.h"
#include "device/cpu/parallel_for.h"
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

constexpr int64_t kChunk = 16384;  // elements of a row that one thread takes

struct Dim {
  int64_t size;
  int64_t from_stride;
  int64_t to_stride;
};
using Dims = absl::InlinedVector<Dim, 6>;

// The dimensions of a copy, slowest in `to` first, with those merged that are
// one run of memory in both tensors. At least one dimension remains.
Dims MergedDims(const Tensor& from, const Tensor& to) {
  Dims dims;
  for (int i = 0; i < from.rank(); ++i) {
    if (from.dim(i) == 1) continue;
    dims.push_back({from.dim(i), from.stride(i), to.stride(i)});
  }
  std::stable_sort(dims.begin(), dims.end(), [](const Dim& a, const Dim& b) {
    return a.to_stride > b.to_stride;
  });
  Dims merged;
  for (const Dim& dim : dims) {
    if (!merged.empty() &&
        merged.back().from_stride == dim.from_stride * dim.size &&
        merged.back().to_stride == dim.to_stride * dim.size) {
      merged.back() = {merged.back().size * dim.size, dim.from_stride,
                       dim.to_stride};
    } else {
      merged.push_back(dim);
    }
  }
  if (merged.empty()) merged.push_back({1, 1, 1});
  return merged;
}

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

using RowCopy = void (*)(const char* from, int64_t from_stride, char* to,
                         int64_t to_stride, int64_t n);

template <typename From, typename To>
void CopyRow(const char* from_bytes, int64_t from_stride, char* to_bytes,
             int64_t to_stride, int64_t n) {
  const From* from = reinterpret_cast<const From*>(from_bytes);
  To* to = reinterpret_cast<To*>(to_bytes);
  if (from_stride == 1 && to_stride == 1) {
    if constexpr (std::is_same_v<From, To>) {
      std::memcpy(to_bytes, from_bytes, n * sizeof(From));
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

template <typename From>
RowCopy FloatRowCopy(DType to) {
  switch (to) {
    case DType::kF32:
      return CopyRow<From, float>;
    case DType::kBF16:
      return CopyRow<From, BFloat16>;
    case DType::kF16:
      return CopyRow<From, Float16>;
    default:
      return CopyRow<From, double>;
  }
}

template <typename From>
RowCopy IntRowCopy(DType to) {
  switch (to) {
    case DType::kI32:
      return CopyRow<From, int32_t>;
    case DType::kI64:
      return CopyRow<From, int64_t>;
    case DType::kU8:
      return CopyRow<From, uint8_t>;
    default:
      return CopyRow<From, uint16_t>;
  }
}

// Both are float or both integer: Copy has checked it.
RowCopy FindRowCopy(DType from, DType to) {
  switch (from) {
    case DType::kF32:
      return FloatRowCopy<float>(to);
    case DType::kBF16:
      return FloatRowCopy<BFloat16>(to);
    case DType::kF16:
      return FloatRowCopy<Float16>(to);
    case DType::kF64:
      return FloatRowCopy<double>(to);
    case DType::kI32:
      return IntRowCopy<int32_t>(to);
    case DType::kI64:
      return IntRowCopy<int64_t>(to);
    case DType::kU8:
      return IntRowCopy<uint8_t>(to);
    case DType::kU16:
      return IntRowCopy<uint16_t>(to);
  }
  return nullptr;
}

absl::Status CpuCopy(const CopyArgs& args, Stream&) {
  if (args.from.elements() == 0) return absl::OkStatus();
  const Dims dims = MergedDims(args.from, args.to);
  const int outer = static_cast<int>(dims.size()) - 1;
  const Dim row = dims[outer];
  const RowCopy copy = FindRowCopy(args.from.dtype(), args.to.dtype());
  const int64_t from_size = SizeOf(args.from.dtype());
  const int64_t to_size = SizeOf(args.to.dtype());
  const char* from = static_cast<const char*>(args.from.raw());
  char* to = static_cast<char*>(args.to.raw());
  const int64_t chunks = (row.size + kChunk - 1) / kChunk;
  const int64_t rows = args.from.elements() / row.size;
  const int64_t grain = kChunk / std::min(row.size, kChunk);
  cpu::ParallelFor(rows * chunks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t start = piece % chunks * kChunk;
      int64_t from_offset = start * row.from_stride;
      int64_t to_offset = start * row.to_stride;
      int64_t index = piece / chunks;
      for (int d = outer - 1; d >= 0; --d) {
        const int64_t i = index % dims[d].size;
        index /= dims[d].size;
        from_offset += i * dims[d].from_stride;
        to_offset += i * dims[d].to_stride;
      }
      copy(from + from_offset * from_size, row.from_stride,
           to + to_offset * to_size, row.to_stride,
           std::min(kChunk, row.size - start));
    }
  });
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(CopySlot, DeviceType::kCpu, &CpuCopy);

}  // namespace
}  // namespace eisbach::ops
#endif
