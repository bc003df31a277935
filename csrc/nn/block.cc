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
  bool trains = false;
  VisitParameters([&](Parameter& p) { trains |= p.trains(); });
  EISBACH_ASSIGN_OR_RETURN(
      std::vector<Tensor> out,
      autograd::Recompute(function, {input.x, input.branch}, trains));
  return Residual{std::move(out[0]), std::move(out[1])};
}

absl::StatusOr<Residual> Block::Run(const Residual& input,
                                    const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(
      autograd::NormResult n1,
      parts_.norm1->Forward(input.x, input.branch, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor a, parts_.attention->Forward(n1.y, context));
  EISBACH_ASSIGN_OR_RETURN(a, parts_.dropout1->Forward(a, context));
  EISBACH_ASSIGN_OR_RETURN(autograd::NormResult n2,
                           parts_.norm2->Forward(n1.sum, a, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor m, parts_.mlp->Forward(n2.y, context));
  EISBACH_ASSIGN_OR_RETURN(m, parts_.dropout2->Forward(m, context));
  return Residual{std::move(n2.sum), std::move(m)};
}

void Block::VisitParameters(const Visitor& visit) {
  parts_.norm1->VisitParameters(visit);
  parts_.attention->VisitParameters(visit);
  parts_.norm2->VisitParameters(visit);
  parts_.mlp->VisitParameters(visit);
}

void Block::VisitRandom(const NameVisitor& visit) {
  parts_.dropout1->VisitRandom(visit);
  parts_.dropout2->VisitRandom(visit);
}

}  // namespace eisbach::nn
