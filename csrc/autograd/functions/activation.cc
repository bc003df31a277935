#include "autograd/functions/activation.h"

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/activation.h"

namespace eisbach::autograd {
namespace {

class GeluNode final : public Node {
 public:
  explicit GeluNode(Tensor x) : x_(std::move(x)) {}
  absl::string_view name() const override { return "gelu"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor dx,
                             ops::GeluBackward(grads[0], x_, context.stream));
    return Send(0, std::move(dx), context.stream);
  }
  bool Remakes(int) const override { return true; }
  absl::StatusOr<Tensor> Remake(int, Stream& stream) override {
    return ops::GeluForward(x_, stream);
  }

 private:
  Tensor x_;
};

class SwigluNode final : public Node {
 public:
  SwigluNode(Tensor gate_up, ops::Gate gate)
      : gate_up_(std::move(gate_up)), gate_(gate) {}
  absl::string_view name() const override { return "swiglu"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dx,
        ops::SwigluBackward(grads[0], gate_up_, context.stream, gate_));
    return Send(0, std::move(dx), context.stream);
  }
  bool Remakes(int) const override { return true; }
  absl::StatusOr<Tensor> Remake(int, Stream& stream) override {
    return ops::SwigluForward(gate_up_, stream, gate_);
  }

 private:
  Tensor gate_up_;
  ops::Gate gate_;
};

absl::StatusOr<Tensor> Gated(const Tensor& gate_up, ops::Gate gate,
                             Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, ops::SwigluForward(gate_up, stream, gate));
  if (Graph* graph = CurrentGraph()) {
    graph->Record<SwigluNode>({&gate_up}, {&y}, gate_up, gate);
  }
  return y;
}

}  // namespace

absl::StatusOr<Tensor> Gelu(const Tensor& x, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, ops::GeluForward(x, stream));
  if (Graph* graph = CurrentGraph()) graph->Record<GeluNode>({&x}, {&y}, x);
  return y;
}

absl::StatusOr<Tensor> Swiglu(const Tensor& gate_up, Stream& stream) {
  return Gated(gate_up, ops::Gate::kSilu, stream);
}

absl::StatusOr<Tensor> Geglu(const Tensor& gate_up, Stream& stream) {
  return Gated(gate_up, ops::Gate::kGelu, stream);
}

}  // namespace eisbach::autograd
