#include "autograd/functions/norm.h"

#include "autograd/functions/written_gradient.h"
#include "autograd/graph.h"
#include "core/status_macros.h"

namespace eisbach::autograd {
namespace {

class NormNode final : public Node {
 public:
  NormNode(ops::NormKind kind, ops::NormOutput saved, Parameter& weight,
           Parameter* bias)
      : kind_(kind), saved_(std::move(saved)), weight_(weight), bias_(bias) {}

  absl::string_view name() const override { return weight_.spec().name; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    const Tensor& dsum = grads[0];
    const Tensor& dy = grads[kNormed];
    if (!dy.defined()) {  // nobody used the norm
      EISBACH_RETURN_IF_ERROR(Send(0, dsum, context.stream));
      return Send(1, dsum, context.stream);
    }
    EISBACH_RETURN_IF_ERROR(weight_.BeforeUse());
    EISBACH_ASSIGN_OR_RETURN(Tensor dweight,
                             WrittenGradient(weight_, context.stream));
    Tensor dbias;
    if (bias_ != nullptr) {
      EISBACH_ASSIGN_OR_RETURN(dbias, WrittenGradient(*bias_, context.stream));
    }
    EISBACH_ASSIGN_OR_RETURN(const bool adds,
                             AddsToGradients(weight_, bias_, context.stream));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dx,
        ops::NormBackward(kind_, dy, dsum.defined() ? &dsum : nullptr,
                          saved_.sum, weight_.data(),
                          saved_.mean.defined() ? &saved_.mean : nullptr,
                          saved_.rstd, adds, dweight,
                          bias_ == nullptr ? nullptr : &dbias, context.stream));
    for (Parameter* parameter : {&weight_, bias_}) {
      if (parameter == nullptr || !parameter->trains()) continue;
      EISBACH_RETURN_IF_ERROR(parameter->GradientWritten());
    }
    EISBACH_RETURN_IF_ERROR(Send(0, dx, context.stream));
    return Send(1, dx, context.stream);
  }
  bool Remakes(int output) const override { return output == kNormed; }
  absl::StatusOr<Tensor> Remake(int, Stream& stream) override {
    EISBACH_RETURN_IF_ERROR(BeforeUse(weight_, bias_));
    return ops::Normalize(kind_, saved_.sum, weight_.data(),
                          bias_ == nullptr ? nullptr : &bias_->data(),
                          saved_.mean.defined() ? &saved_.mean : nullptr,
                          saved_.rstd, stream);
  }

 private:
  // Outputs: the sum, then what it is normalized to.
  static constexpr int kNormed = 1;

  ops::NormKind kind_;
  ops::NormOutput saved_;
  Parameter& weight_;
  Parameter* bias_;
};

}  // namespace

absl::StatusOr<NormResult> Norm(ops::NormKind kind, double eps, const Tensor& x,
                                const Tensor& residual, Parameter& weight,
                                Parameter* bias, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(BeforeUse(weight, bias));
  EISBACH_ASSIGN_OR_RETURN(
      ops::NormOutput out,
      ops::NormForward(kind, eps, x, residual.defined() ? &residual : nullptr,
                       weight.data(), bias == nullptr ? nullptr : &bias->data(),
                       stream));
  NormResult result{out.sum.Detach(), out.y};
  if (Graph* graph = CurrentGraph()) {
    out.y = Tensor();  // backward makes it again where it needs it
    graph->RecordTraining<NormNode>(Trains(weight, bias), {&x, &residual},
                                    {&result.sum, &result.y}, kind,
                                    std::move(out), weight, bias);
  }
  return result;
}

}  // namespace eisbach::autograd
