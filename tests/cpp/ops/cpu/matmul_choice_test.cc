#include "ops/cpu/matmul_choice.h"

#include <gtest/gtest.h>

namespace eisbach::ops::cpu::matmul_choice_test {
namespace {

constexpr DType kF32 = DType::kF32, kBF16 = DType::kBF16, kF16 = DType::kF16;

TEST(IsReference, IsThePartOfANameThatSaysSo) {
  for (const char* name : {"ref:any", "ref_int8:any", "gemm:ref", "x64:ref"}) {
    EXPECT_TRUE(IsReference(name)) << name;
  }
  for (const char* name :
       {"brg:avx512_core_amx_fp16", "brg:avx512_core_fp16", "brg:avx2_vnni_2",
        "gemm:jit:f32", "gemm:jit:bf16", "x64:gemm:jit", "acl", "prefer:any",
        "refined:any", ""}) {
    EXPECT_FALSE(IsReference(name)) << name;
  }
}

// What oneDNN answers on one CPU or another.
TEST(TakesAsItIs, WhateverHasAKernelOfItsOwn) {
  for (bool dots : {false, true}) {
    EXPECT_TRUE(TakesAsItIs(kF32, "gemm:jit:f32", dots));
    EXPECT_TRUE(TakesAsItIs(kF32, "brg:avx512_core", dots));
    EXPECT_TRUE(TakesAsItIs(kBF16, "brg:avx512_core_bf16", dots));
    EXPECT_TRUE(TakesAsItIs(kBF16, "brg:avx512_core_amx", dots));
    EXPECT_TRUE(TakesAsItIs(kBF16, "brg:avx2_vnni_2", dots));
    EXPECT_TRUE(TakesAsItIs(kF16, "brg:avx512_core_fp16", dots));
    EXPECT_TRUE(TakesAsItIs(kF16, "brg:avx512_core_amx_fp16", dots));
    for (DType dtype : {kBF16, kF16}) {
      EXPECT_FALSE(TakesAsItIs(dtype, "ref:any", dots));
      EXPECT_FALSE(TakesAsItIs(dtype, "", dots));
    }
    EXPECT_EQ(TakesAsItIs(kBF16, "gemm:jit:bf16", dots), dots);
    EXPECT_FALSE(TakesAsItIs(kF16, "gemm:jit", dots));
    // There is no other way.
    EXPECT_TRUE(TakesAsItIs(kF32, "ref:any", dots));
  }
}

}  // namespace
}  // namespace eisbach::ops::cpu::matmul_choice_test
