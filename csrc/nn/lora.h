#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/dropout.h"
#include "nn/linear.h"

namespace eisbach::nn {

// Pieces of a fused linear layer, side by side, that are adapted as one: A of
// rank rows, and B with a row for each of theirs.
struct LoraTerm {
  std::string name;  // "…attention.query"
  int first_piece;
  int pieces;
};

struct LoraOptions {
  LinearOptions base;
  std::vector<LoraTerm> terms;  // in the order of the pieces
  int64_t rank;
  float scale;
  double dropout;  // of the input of A, one mask for all terms
  // Whether other tensor ranks hold other rows, or other columns, of the base.
  // What this one holds whole, A or B, each of them does: `first` counts it,
  // and its gradient is the sum over them.
  bool divided = false;
  bool first = true;
};

// A linear layer that stays as it is, with low-rank adapters: in the rows of
// each term
//
//   y = x · weight^T + bias + scale · dropout(x) · A^T · B^T
//
// (Hu et al., "LoRA", arXiv:2106.09685). The terms' A are one parameter [terms
// · rank, columns], "….lora_a.weight", and start uniform in ±1/sqrt(columns) as
// in PEFT; each B [rows, rank], "….lora_b.weight", is zero. In a tensor group x
// is whole and y a part, or x a part and y a summand, as of the base alone.
class Lora final : public Projection {
 public:
  explicit Lora(const LoraOptions& options);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override;
  void VisitRandom(const NameVisitor& visit) override;

  // Adds what the adapters do to the base's weight, in f32, and sets B to zero.
  // FailedPrecondition where weights are not kept in f32.
  absl::Status Merge(Stream& stream);

 private:
  struct Output {
    std::unique_ptr<Parameter> b;
    int64_t first_row;  // of the base's
  };

  Linear base_;
  Parameter a_;
  std::vector<Output> outputs_;
  float scale_;
  Dropout dropout_;
};

}  // namespace eisbach::nn
