#include "core/dtype.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace eisbach {
namespace {

constexpr DType kAll[] = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64,
                          DType::kI32, DType::kI64,  DType::kU8,  DType::kU16};

}  // namespace

size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kF64:
    case DType::kI64:
      return 8;
    case DType::kF32:
    case DType::kI32:
      return 4;
    case DType::kBF16:
    case DType::kF16:
    case DType::kU16:
      return 2;
    case DType::kU8:
      return 1;
  }
  return 0;
}

absl::string_view Name(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "f32";
    case DType::kBF16:
      return "bf16";
    case DType::kF16:
      return "f16";
    case DType::kF64:
      return "f64";
    case DType::kI32:
      return "i32";
    case DType::kI64:
      return "i64";
    case DType::kU8:
      return "u8";
    case DType::kU16:
      return "u16";
  }
  return "?";
}

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 ||
         dtype == DType::kF16 || dtype == DType::kF64;
}

absl::StatusOr<DType> ParseDType(absl::string_view name) {
  for (DType dtype : kAll) {
    if (Name(dtype) == name) return dtype;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dtype \"", name,
                   "\" is not one of f32, bf16, f16, f64, i32, i64, u8, u16"));
}

absl::Status UnsupportedDType(DType dtype, absl::string_view op) {
  return absl::InvalidArgumentError(absl::StrCat(
      op, ": dtype ", Name(dtype), " is not supported; use f32, bf16 or f16"));
}

Float16::Float16(float value) {
  const uint32_t u = std::bit_cast<uint32_t>(value);
  const uint16_t sign = static_cast<uint16_t>((u >> 16) & 0x8000u);
  const uint32_t magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    bits = sign | 0x7e00u;
  } else if (magnitude >= 0x477ff000u) {  // rounds past 65504
    bits = sign | 0x7c00u;
  } else if (magnitude < 0x38800000u) {  // below the smallest normal
    const float scaled = std::bit_cast<float>(magnitude) * 16777216.0f;
    bits = sign | static_cast<uint16_t>(std::nearbyint(scaled));
  } else {
    const uint32_t rounded =
        magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23);
    bits = sign | static_cast<uint16_t>(rounded >> 13);
  }
}

Float16::operator float() const {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1fu;
  const uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0x1f) {
    return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  }
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -value : value;
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) |
                              (mantissa << 13));
}

}  // namespace eisbach
