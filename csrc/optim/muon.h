#pragma once

#include <memory>
#include <vector>

#include "optim/matrix_ranks.h"
#include "optim/optimizer.h"

namespace eisbach::optim {

// Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon; Liu et al.,
// arXiv:2502.16982): of each logical matrix W [rows, columns] with gradient g
//
//   m = momentum m + (1 - momentum) g
//   u = nesterov ? momentum m + (1 - momentum) g : m
//   W -= lr (scale NewtonSchulz(u) + weight_decay W)
//   scale = sqrt(max(1, rows / columns))       "original"
//           0.2 sqrt(max(rows, columns))       "match_rms_adamw": as large as
//                                              AdamW's, so that its rates fit
//
// as torch.optim.Muon computes it. Matrices are the logical tensors: query, key
// and value each on its own, gate and up each, and each factor of an adapter.
// What is no matrix (norms, biases) or a table (embeddings, heads) is trained
// by AdamW (optim/adamw.h), at the learning rate times adamw_rate_factor; so
// are matrices of a group that says so.
//
// A whole matrix is needed, whatever the layout: ranks that see other samples
// take parameters by turns, those of equal cost in one round. In each round
// the one whose turn it is gets the direction u whole (from ranks that divide
// it, and as the sum of the parts of tensor ranks, which all compute it then),
// and gives back what it makes of it. So an update differs between layouts by
// rounding of the gradients alone, and has the same bits whatever ranks that
// see other samples divide.
//
// Newton-Schulz is computed in bf16 where weights are, else in f32. State: "m",
// and "v" of what AdamW trains.
class Muon final : public Optimizer {
 public:
  static absl::Status Validate(const OptimizerConfig& config,
                               DType compute_dtype);
  // `config` is valid.
  static absl::StatusOr<std::unique_ptr<Optimizer>> Make(
      const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
      MatrixRanks* ranks);

  absl::Status RefreshData(const StepState& state, Stream& stream) override;

 protected:
  absl::Status Apply(const StepState& state, Stream& stream) override;

 private:
  // A logical tensor and where this rank has pieces of it.
  struct Matrix {
    Shape shape;
    std::vector<const LogicalSlice*> slices;
    float scale;
  };
  // A parameter of such: this rank's own elements, flat, maybe none.
  struct Item {
    const Parameter* parameter;
    std::vector<Matrix> matrices;
    double flops;
    Tensor data, master, grad, m;
    float weight_decay;
    float rate_factor;
  };

  Muon(const OptimizerConfig& config, MatrixRanks* ranks, DType dtype)
      : config_(config), ranks_(ranks), dtype_(dtype) {}

  absl::Status AddMatrices(FlatBuffer& buffer);
  std::vector<Matrix> MatricesOf(const ParamSpec& spec) const;
  // The parameters from `first` on, one for each worker.
  absl::Status Round(size_t first, const StepState& state, Stream& stream);
  // From directions to what is subtracted, in place; `whole` is all of the
  // parameter.
  absl::Status Orthogonalize(const Item& item, const Tensor& whole,
                             Stream& stream);
  // The whole of a matrix, f32: a part of `whole`, or put together.
  absl::StatusOr<Tensor> Assemble(const Item& item, const Matrix& matrix,
                                  const Tensor& whole, Stream& stream);

  const OptimizerConfig config_;
  MatrixRanks* const ranks_;  // null: one rank has all
  const DType dtype_;         // of Newton-Schulz
  std::vector<Item> items_;   // the costliest first, alike on all ranks
};

}  // namespace eisbach::optim
