#include "autograd/functions/xielu.h"

#include <utility>

#include "autograd/functions/written_gradient.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/xielu.h"

namespace eisbach::autograd {
namespace {

class XieluNode final : public Node {
 public:
  XieluNode(Tensor x, Parameter& alpha_p, Parameter& alpha_n)
      : x_(std::move(x)), alpha_p_(alpha_p), alpha_n_(alpha_n) {}
  absl::string_view name() const override { return "xielu"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_RETURN_IF_ERROR(BeforeUse(alpha_p_, &alpha_n_));
    EISBACH_ASSIGN_OR_RETURN(Tensor dp,
                             WrittenGradient(alpha_p_, context.stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor dn,
                             WrittenGradient(alpha_n_, context.stream));
    EISBACH_ASSIGN_OR_RETURN(
        const bool adds, AddsToGradients(alpha_p_, &alpha_n_, context.stream));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dx,
        ops::XieluBackward(grads[0], x_, alpha_p_.data(), alpha_n_.data(), adds,
                           dp, dn, context.stream));
    for (Parameter* parameter : {&alpha_p_, &alpha_n_}) {
      if (!parameter->trains()) continue;
      EISBACH_RETURN_IF_ERROR(parameter->GradientWritten());
    }
    return Send(0, std::move(dx), context.stream);
  }
  bool Remakes(int) const override { return true; }
  absl::StatusOr<Tensor> Remake(int, Stream& stream) override {
    EISBACH_RETURN_IF_ERROR(BeforeUse(alpha_p_, &alpha_n_));
    return ops::XieluForward(x_, alpha_p_.data(), alpha_n_.data(), stream);
  }

 private:
  Tensor x_;
  Parameter& alpha_p_;
  Parameter& alpha_n_;
};

}  // namespace

absl::StatusOr<Tensor> Xielu(const Tensor& x, Parameter& alpha_p,
                             Parameter& alpha_n, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(BeforeUse(alpha_p, &alpha_n));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, ops::XieluForward(x, alpha_p.data(), alpha_n.data(), stream));
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<XieluNode>(Trains(alpha_p, &alpha_n), {&x}, {&y}, x,
                                     alpha_p, alpha_n);
  }
  return y;
}

}  // namespace eisbach::autograd
