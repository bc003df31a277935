#include "nn/mlp.h"

#include <utility>

#include "autograd/functions/activation.h"
#include "autograd/recompute.h"
#include "core/status_macros.h"

namespace eisbach::nn {

Mlp::Mlp(std::unique_ptr<Projection> up, std::unique_ptr<Projection> down,
         Activation activation, std::unique_ptr<Xielu> xielu, bool recompute)
    : up_(std::move(up)),
      down_(std::move(down)),
      activation_(activation),
      xielu_(std::move(xielu)),
      recompute_(recompute) {}

absl::StatusOr<Tensor> Mlp::Forward(const Tensor& x,
                                    const ForwardContext& context) {
  Tensor hidden;
  if (recompute_) {
    const bool trains =
        up_->Trains() || (xielu_ != nullptr && xielu_->Trains());
    const auto inner = [this, context](const Tensor& in) {
      return Hidden(in, context);
    };
    EISBACH_ASSIGN_OR_RETURN(hidden, autograd::RecomputeOne(inner, x, trains));
  } else {
    EISBACH_ASSIGN_OR_RETURN(hidden, Hidden(x, context));
  }
  return down_->Forward(hidden, context);
}

absl::StatusOr<Tensor> Mlp::Hidden(const Tensor& x,
                                   const ForwardContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor up, up_->Forward(x, context));
  return Activate(up, context);
}

absl::StatusOr<Tensor> Mlp::Activate(const Tensor& up,
                                     const ForwardContext& context) {
  switch (activation_) {
    case Activation::kGelu:
      return autograd::Gelu(up, context.stream);
    case Activation::kSwiglu:
      return autograd::Swiglu(up, context.stream);
    case Activation::kGeglu:
      return autograd::Geglu(up, context.stream);
    case Activation::kXielu:
      return xielu_->Forward(up, context);
  }
  return absl::InternalError("an activation of no kind");
}

void Mlp::VisitParameters(const Visitor& visit) {
  up_->VisitParameters(visit);
  if (xielu_ != nullptr) xielu_->VisitParameters(visit);
  down_->VisitParameters(visit);
}

}  // namespace eisbach::nn
