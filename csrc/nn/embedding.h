#pragma once

#include <string>

#include "nn/linear.h"
#include "nn/module.h"
#include "nn/token_rows.h"

namespace eisbach::nn {

// i32 ids [B, T] to rows [B, T, H], or to those of this rank's tokens
// (ForwardContext::share).
class TokenEmbedding : public Module {
 public:
  virtual absl::StatusOr<Tensor> Forward(const Tensor& ids,
                                         const ForwardContext& context) = 0;
};

// The spec of rows [start, start + count) of a [total, hidden] table. Rows at
// or past `total` are padding.
ParamSpec TableSpec(const std::string& name, const Range& rows, int64_t hidden,
                    float stddev);

// A whole table. It is made elsewhere where a head shares it.
class Embedding final : public TokenEmbedding {
 public:
  explicit Embedding(Parameter& weight, TokenRows* rows = nullptr)
      : table_{weight, rows} {}
  absl::StatusOr<Tensor> Forward(const Tensor& ids,
                                 const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    table_.VisitParameters(visit);
  }

 private:
  Table table_;
};

// Learned positions, of a token in its document, added to x in place: [B, T,
// H], or this rank's tokens of it.
class PositionEmbedding final : public Module {
 public:
  PositionEmbedding(const std::string& name, int64_t context, int64_t hidden,
                    float stddev, bool primary);
  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context);
  void VisitParameters(const Visitor& visit) override { visit(weight_); }

 private:
  // The same of a part of the tokens.
  absl::StatusOr<Tensor> ForwardShare(const Tensor& x,
                                      const ForwardContext& context);

  Parameter weight_;  // [context, hidden]
};

}  // namespace eisbach::nn
