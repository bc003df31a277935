#include "nn/mlp.h"

#include <utility>

#include "autograd/functions/activation.h"
#include "core/status_macros.h"

namespace eisbach::nn {

Mlp::Mlp(std::unique_ptr<Projection> up, std::unique_ptr<Projection> down,
         Activation activation)
    : up_(std::move(up)), down_(std::move(down)), activation_(activation) {}

absl::StatusOr<Tensor> Mlp::Forward(const Tensor& x,
                                    const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(Tensor up, up_->Forward(x, context));
  EISBACH_ASSIGN_OR_RETURN(Tensor hidden,
                           activation_ == Activation::kGelu
                               ? autograd::Gelu(up, context.stream)
                               : autograd::Swiglu(up, context.stream));
  up = Tensor();
  return down_->Forward(hidden, context);
}

void Mlp::VisitParameters(const Visitor& visit) {
  up_->VisitParameters(visit);
  down_->VisitParameters(visit);
}

}  // namespace eisbach::nn
