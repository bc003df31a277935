// Which kernels of oneDNN run. tests.cmake repeats this for each of the
// instruction sets that an environment can choose, up to what the CPU has.

#include "ops/cpu/onednn_primitives.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/cpu/matmul_choice.h"
#include "support/op_testing.h"

namespace eisbach::ops::cpu {
namespace {

using test::Value;

struct Size {
  int64_t m, n, k;
};
// Those of layers, of their gradients, and of one token at a time; odd ones.
constexpr Size kSizes[] = {
    {128, 96, 64}, {96, 64, 128}, {1, 192, 64}, {7, 33, 5}, {17, 257, 130}};
constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

Tensor View(int64_t rows, int64_t columns, DType dtype, bool transposed,
            int64_t padding) {
  const int64_t outer = transposed ? columns : rows;
  const int64_t inner = transposed ? rows : columns;
  const Tensor whole = test::Normal({outer, inner + padding}, dtype, 1);
  const Tensor view = Value(whole.Narrow(1, 0, inner));
  return transposed ? Value(view.Transpose(0, 1)) : view;
}

// What layers ask of Matmul in this size and dtype, in every layout.
void Multiply(const Size& size, DType dtype) {
  const auto matmul = [&](const Tensor& a, const Tensor& b, const Tensor* bias,
                          bool accumulate, DType c_dtype) {
    const Tensor c = test::Normal({size.m, size.n}, c_dtype, 2);
    EISBACH_EXPECT_OK(Matmul(a, b, bias, accumulate, c, test::TheStream()));
  };
  for (int layout = 0; layout < 8; ++layout) {
    const int64_t padding = layout & 4 ? 6 : 0;
    const Tensor a = View(size.m, size.k, dtype, layout & 1, padding);
    const Tensor b = View(size.k, size.n, dtype, layout & 2, padding);
    matmul(a, b, nullptr, true, DType::kF32);
    matmul(a, b, nullptr, false, dtype);
    if ((layout & 3) != 2) continue;  // x and the transpose of a weight
    matmul(a, b, nullptr, false, DType::kF32);
    for (DType bias_dtype : {dtype, DType::kF32}) {
      const Tensor bias = test::Normal({size.n}, bias_dtype, 3);
      matmul(a, b, &bias, false, dtype);
    }
  }
}

TEST(OneDnnPrimitives, NoneThatRunsIsAReferenceOne) {
  const test::ScopedThreads one(1);  // small products, on a machine in use
  for (DType dtype : kDTypes) {
    for (const Size& size : kSizes) Multiply(size, dtype);
  }
  for (DType dtype : kDTypes) {
    for (const std::string& name : MatmulImplementations(dtype)) {
      EXPECT_FALSE(IsReference(name)) << Name(dtype) << ": " << name;
    }
  }
  // By which the others go where they have no kernel.
  EXPECT_THAT(MatmulImplementations(DType::kF32),
              testing::Not(testing::IsEmpty()));
}

}  // namespace
}  // namespace eisbach::ops::cpu
