#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// Element types of a tensor.
enum class DType : uint8_t { kF32, kBF16, kF16, kF64, kI32, kI64, kU8, kU16 };

size_t SizeOf(DType dtype);           // bytes of one element
absl::string_view Name(DType dtype);  // "f32", "bf16", ...
bool IsFloat(DType dtype);
absl::StatusOr<DType> ParseDType(absl::string_view name);

// bfloat16 storage. Conversion from float rounds to nearest even and keeps NaN.
struct BFloat16 {
  uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) {
    uint32_t u = std::bit_cast<uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<uint16_t>((u >> 16) | 0x40u);
    } else {
      bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

// IEEE half storage, round to nearest even.
struct Float16 {
  uint16_t bits = 0;

  Float16() = default;
  explicit Float16(float value);
  explicit operator float() const;
};

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::kU16;
};

// Calls `f(T{})` with the storage type of `dtype`; `f` returns absl::Status.
// Other dtypes are InvalidArgument and name `op`.
template <typename F>
absl::Status DispatchFloat(DType dtype, absl::string_view op, F&& f);

absl::Status UnsupportedDType(DType dtype, absl::string_view op);

template <typename F>
absl::Status DispatchFloat(DType dtype, absl::string_view op, F&& f) {
  switch (dtype) {
    case DType::kF32:
      return f(float{});
    case DType::kBF16:
      return f(BFloat16{});
    case DType::kF16:
      return f(Float16{});
    default:
      return UnsupportedDType(dtype, op);
  }
}

}  // namespace eisbach
