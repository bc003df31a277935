#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autograd/functions/trained_rows.h"
#include "nn/linear.h"
#include "nn/module.h"

namespace eisbach::nn {

struct TokenRowsOptions {
  std::string table;         // "embedding.token" or "head"
  std::vector<int64_t> ids;  // increasing
  Range rows;                // of the table, that this rank has
  int64_t hidden;
  // Whether other tensor ranks have other rows. All hold the trained ones:
  // `first` counts them, and the gradient is the sum over the ranks, each of
  // which gives that of its own.
  bool divided = false;
  bool first = true;
};

// Rows of a table that are trained where the rest of it stays as it is: those
// of new tokens, beside adapters. They are a parameter [ids, hidden],
// "TABLE.rows.weight", that starts at zero until somebody loads the table's,
// and stand in the place of the table's wherever the adapters are on, as
// `trainable_token_indices` of PEFT has it.
class TokenRows {
 public:
  explicit TokenRows(const TokenRowsOptions& options);

  Parameter& weight() { return weight_; }

  // What functions of the table take; null where the adapters are off.
  const autograd::TrainedRows* In(const ForwardContext& context) const {
    return context.adapters ? &rows_ : nullptr;
  }

  // Writes them into the table's own, in f32; FailedPrecondition where weights
  // are kept in another type.
  absl::Status Merge(Parameter& table, Stream& stream);

 private:
  Parameter weight_;
  autograd::TrainedRows rows_;
};

// A table, and those of its rows that are trained where it is not.
struct Table {
  void VisitParameters(const Module::Visitor& visit) const {
    visit(weight);
    if (rows != nullptr) visit(rows->weight());
  }
  const autograd::TrainedRows* RowsIn(const ForwardContext& context) const {
    return rows == nullptr ? nullptr : rows->In(context);
  }

  // x · weight^T, x [..., hidden]. The rows have no gradient by it, and x none
  // where there are some.
  absl::StatusOr<Tensor> Multiply(const Tensor& x,
                                  const ForwardContext& context) const;

  Parameter& weight;          // [vocab, hidden], or this rank's part
  TokenRows* rows = nullptr;  // null for none
};

}  // namespace eisbach::nn
