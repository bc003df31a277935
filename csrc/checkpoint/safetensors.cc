#include "checkpoint/safetensors.h"

#include <bit>

namespace eisbach::checkpoint {

static_assert(std::endian::native == std::endian::little,
              "safetensors are read and written without byte swaps");

namespace {

struct Type {
  absl::string_view name;
  size_t bytes;
  std::optional<DType> dtype;
};

constexpr Type kTypes[] = {
    {"F64", 8, DType::kF64},      {"F32", 4, DType::kF32},
    {"F16", 2, DType::kF16},      {"BF16", 2, DType::kBF16},
    {"I64", 8, DType::kI64},      {"I32", 4, DType::kI32},
    {"U16", 2, DType::kU16},      {"U8", 1, DType::kU8},
    {"U64", 8, std::nullopt},     {"C64", 8, std::nullopt},
    {"U32", 4, std::nullopt},     {"I16", 2, std::nullopt},
    {"I8", 1, std::nullopt},      {"BOOL", 1, std::nullopt},
    {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt},
    {"F8_E8M0", 1, std::nullopt},
};

}  // namespace

absl::string_view SafetensorsName(DType dtype) {
  for (const Type& type : kTypes) {
    if (type.dtype == dtype) return type.name;
  }
  return "?";
}

std::optional<DType> DTypeFromSafetensors(absl::string_view name) {
  for (const Type& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return std::nullopt;
}

std::optional<size_t> SafetensorsElementBytes(absl::string_view name) {
  for (const Type& type : kTypes) {
    if (type.name == name) return type.bytes;
  }
  return std::nullopt;
}

}  // namespace eisbach::checkpoint
