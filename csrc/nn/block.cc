#include "nn/block.h"

#include <utility>

#include "autograd/functions/elementwise.h"
#include "autograd/recompute.h"
#include "core/status_macros.h"

namespace eisbach::nn {

absl::StatusOr<Tensor> Join(const Residual& residual,
                            const ForwardContext& context) {
  if (!residual.branch.defined()) return residual.x;
  return autograd::Add(residual.x, residual.branch, context.stream);
}

namespace {

// The sum, and what a branch begins with: that, normalised where there is a
// norm.
absl::StatusOr<autograd::NormResult> Enter(Norm* norm, const Tensor& x,
                                           const Tensor& branch,
                                           const ForwardContext& context) {
  if (norm != nullptr) return norm->Forward(x, branch, context);
  EISBACH_ASSIGN_OR_RETURN(Tensor sum, Join({x, branch}, context));
  return autograd::NormResult{sum, sum};
}

// What a branch gives.
absl::StatusOr<Tensor> Leave(Norm* norm, Dropout& dropout, Tensor y,
                             const ForwardContext& context) {
  if (norm != nullptr) {
    EISBACH_ASSIGN_OR_RETURN(autograd::NormResult normed,
                             norm->Forward(y, Tensor(), context));
    y = std::move(normed.y);
  }
  return dropout.Forward(y, context);
}

}  // namespace

Block::Block(Parts parts) : parts_(std::move(parts)) {}

absl::StatusOr<Residual> Block::Forward(const Residual& input,
                                        const ForwardContext& context) {
  if (!parts_.recompute) return Run(input, context);
  const auto function =
      [this, context](
          absl::Span<const Tensor> in) -> absl::StatusOr<std::vector<Tensor>> {
    EISBACH_ASSIGN_OR_RETURN(Residual out, Run({in[0], in[1]}, context));
    return std::vector<Tensor>{std::move(out.x), std::move(out.branch)};
  };
  EISBACH_ASSIGN_OR_RETURN(
      std::vector<Tensor> out,
      autograd::Recompute(function, {input.x, input.branch}, Trains()));
  return Residual{std::move(out[0]), std::move(out[1])};
}

absl::StatusOr<Residual> Block::Run(const Residual& input,
                                    const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(
      autograd::NormResult n1,
      Enter(parts_.norm1.get(), input.x, input.branch, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor a, parts_.attention->Forward(n1.y, context));
  EISBACH_ASSIGN_OR_RETURN(a, Leave(parts_.post_norm1.get(), *parts_.dropout1,
                                    std::move(a), context));
  EISBACH_ASSIGN_OR_RETURN(autograd::NormResult n2,
                           Enter(parts_.norm2.get(), n1.sum, a, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor m, parts_.mlp->Forward(n2.y, context));
  EISBACH_ASSIGN_OR_RETURN(m, Leave(parts_.post_norm2.get(), *parts_.dropout2,
                                    std::move(m), context));
  return Residual{std::move(n2.sum), std::move(m)};
}

void Block::VisitParameters(const Visitor& visit) {
  const auto norm = [&](const std::unique_ptr<Norm>& one) {
    if (one != nullptr) one->VisitParameters(visit);
  };
  norm(parts_.norm1);
  parts_.attention->VisitParameters(visit);
  norm(parts_.post_norm1);
  norm(parts_.norm2);
  parts_.mlp->VisitParameters(visit);
  norm(parts_.post_norm2);
}

void Block::VisitRandom(const NameVisitor& visit) {
  parts_.dropout1->VisitRandom(visit);
  parts_.dropout2->VisitRandom(visit);
}

}  // namespace eisbach::nn
