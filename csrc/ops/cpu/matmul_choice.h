#pragma once

#include "absl/strings/string_view.h"
#include "core/dtype.h"

// Which of the implementations that oneDNN offers for a product are taken, by
// the names that it gives them: "brg:avx512_core_amx", "gemm:jit:bf16",
// "ref:any".
namespace eisbach::ops::cpu {

// Plain loops that oneDNN keeps for what it has no kernel for: right, and some
// hundred times slower.
bool IsReference(absl::string_view implementation);

// Whether a product of `dtype`s is best left to `implementation`; else it goes
// through f32. `dots_bf16`: the CPU adds products of bf16 pairs in f32, without
// which "gemm" converts as it goes, more slowly than we do. An empty name is
// that of no implementation.
bool TakesAsItIs(DType dtype, absl::string_view implementation, bool dots_bf16);

}  // namespace eisbach::ops::cpu
