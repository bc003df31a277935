#include "autograd/functions/linear.h"

#include "autograd/graph.h"
#include "autograd/saved.h"
#include "core/status_macros.h"
#include "ops/matmul.h"
#include "ops/reduce.h"

namespace eisbach::autograd {
namespace {

absl::Status AddWeightGradient(const Tensor& dy, const Tensor& x,
                               Parameter& weight, Parameter* bias,
                               Stream& stream) {
  const bool bias_trains = bias != nullptr && bias->trains();
  if (bias_trains) EISBACH_RETURN_IF_ERROR(bias->BeforeGradient());
  if (weight.trains()) {
    EISBACH_RETURN_IF_ERROR(weight.BeforeGradient());
    ops::LinearGradient gradient{weight.grad(), weight.accumulate()};
    if (bias_trains) {
      gradient.dbias = &bias->grad();
      gradient.accumulate_bias = bias->accumulate();
    }
    EISBACH_RETURN_IF_ERROR(ops::LinearBackwardWeight(dy, x, gradient, stream));
    EISBACH_RETURN_IF_ERROR(weight.GradientWritten());
  } else if (bias_trains) {
    EISBACH_RETURN_IF_ERROR(
        ops::ColumnSum(dy, bias->accumulate(), bias->grad(), stream));
  }
  return bias_trains ? bias->GradientWritten() : absl::OkStatus();
}

class LinearNode final : public Node {
 public:
  LinearNode(const Tensor& x, Parameter& weight, Parameter* bias)
      : x_(weight.trains() ? Saved(x) : Saved()),
        weight_(weight),
        bias_(bias) {}

  absl::string_view name() const override { return weight_.spec().name; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    const Tensor& dy = grads[0];
    if (Wants(0)) {
      EISBACH_RETURN_IF_ERROR(x_.Begin(context.stream));
      EISBACH_RETURN_IF_ERROR(weight_.BeforeUse());
      EISBACH_ASSIGN_OR_RETURN(
          Tensor dx,
          ops::LinearBackwardInput(dy, weight_.data(), context.stream));
      EISBACH_RETURN_IF_ERROR(Send(0, std::move(dx), context.stream));
    }
    if (!Trains(weight_, bias_)) return absl::OkStatus();
    EISBACH_ASSIGN_OR_RETURN(Tensor x, x_.Get(context.stream));
    return context.WeightGradient([dy, x = std::move(x), &weight = weight_,
                                   bias = bias_](Stream& stream) {
      return AddWeightGradient(dy, x, weight, bias, stream);
    });
  }

 private:
  Saved x_;
  Parameter& weight_;
  Parameter* bias_;
};

}  // namespace

absl::StatusOr<Tensor> Linear(const Tensor& x, Parameter& weight,
                              Parameter* bias, bool use_bias, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(BeforeUse(weight, use_bias ? bias : nullptr));
  const Tensor* b = bias != nullptr && use_bias ? &bias->data() : nullptr;
  EISBACH_ASSIGN_OR_RETURN(Tensor y,
                           ops::LinearForward(x, weight.data(), b, stream));
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<LinearNode>(Trains(weight, bias), {&x}, {&y}, x,
                                      weight, bias);
  }
  return y;
}

}  // namespace eisbach::autograd
