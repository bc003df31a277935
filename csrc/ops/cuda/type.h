#pragma once

namespace eisbach::cuda {

// The dtype of a kernel's float operands, for code that must not see Abseil.
enum class Type : unsigned char { kF32, kBF16, kF16 };

}  // namespace eisbach::cuda
