#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"

namespace eisbach::nn {

// A range of one axis that a rank holds: [start, start + count) of `total`.
struct Range {
  int64_t total = 0;
  int64_t start = 0;
  int64_t count = 0;

  static Range Whole(int64_t total) { return {total, 0, total}; }
};

// One logical linear layer inside a fused one: its name ("…attention.query")
// and the output rows that this rank holds.
struct LinearPiece {
  std::string name;
  Range rows;
  // See LogicalSlice: for rows that other tensor ranks hold as well.
  bool sum_over_tensor = false;
  // So many rows at the front are held, and counted, by a lower rank too.
  int64_t foreign_rows = 0;
};

struct LinearOptions {
  std::string name;                 // of the fused parameter
  std::vector<LinearPiece> pieces;  // in the order of the output columns
  Range columns;                    // input features
  bool bias = true;
  float stddev = 0.02f;  // of the initial weights
  // The bias lies whole on every rank of the tensor group, and only the first
  // adds it (a row-parallel layer). Then `first` says whether this is it.
  bool shared_bias = false;
  bool first = true;
};

// y = x · weight^T + bias; weight [sum of piece rows, columns.count]. Fused
// query/key/value or gate/up projections have several pieces.
class Linear final : public Projection {
 public:
  explicit Linear(const LinearOptions& options);

  absl::StatusOr<Tensor> Forward(const Tensor& x,
                                 const ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override;

  Parameter& weight() { return weight_; }
  Parameter* bias() { return bias_.get(); }

 private:
  Parameter weight_;
  std::unique_ptr<Parameter> bias_;
  bool add_bias_;
};

// The plain layer `name`: all rows and columns, one piece.
LinearOptions PlainLinear(std::string name, int64_t inputs, int64_t outputs,
                          bool bias, float stddev);

}  // namespace eisbach::nn
