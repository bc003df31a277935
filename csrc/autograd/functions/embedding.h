#pragma once

#include "absl/status/statusor.h"
#include "autograd/functions/trained_rows.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Rows of `weight` by ids, i32 [B, T] in [0, vocab) -> [B, T, H]; ids outside
// the rows from `first_row` on yield zeros. See ops/embedding.h. `rows`: those
// that are trained where `weight` is not, or null; they outlive the graph.
absl::StatusOr<Tensor> Embedding(const Tensor& ids, Parameter& weight,
                                 int64_t first_row, int64_t vocab,
                                 Stream& stream,
                                 const TrainedRows* rows = nullptr);

// x [B, T, H] + weight[t], in place; returns x. With `starts`
// (ops/document_starts.h), i32 [B, T], weight[t - starts[t]].
absl::StatusOr<Tensor> AddPosition(const Tensor& x, Parameter& weight,
                                   Stream& stream,
                                   const Tensor& starts = Tensor());

// x [..., H] + weight[positions], in place; returns x. positions: i32 [...].
absl::StatusOr<Tensor> AddRows(const Tensor& x, Tensor positions,
                               Parameter& weight, Stream& stream);

}  // namespace eisbach::autograd
