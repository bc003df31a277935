#pragma once

#include "absl/status/statusor.h"
#include "tensor/tensor.h"

namespace eisbach::optim {

// A matrix of about the singular vectors of `matrix` (f32 [rows, columns],
// contiguous) with singular values near 1, in `dtype` (f32 or bf16), in which
// it is computed; 0 where `matrix` is. From X = G / max(|G|, 1e-7), Frobenius
// norm, each step of
//
//   A = X X^T;  X = a X + (b A + c A A) X,  (a, b, c) = (3.4445,
//   -4.775, 2.0315)
//
// brings each singular value s to a s + b s^3 + c s^5: within [0.7, 1.2] after
// 5 steps from 0.003 on. Where rows > columns the same of the transpose.
// Jordan et al. 2024, kellerjordan.github.io/posts/muon.
absl::StatusOr<Tensor> NewtonSchulz(const Tensor& matrix, int steps,
                                    DType dtype, Stream& stream);

// What that costs, about.
double NewtonSchulzFlops(const Shape& shape, int steps);

}  // namespace eisbach::optim
