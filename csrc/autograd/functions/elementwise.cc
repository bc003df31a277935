#include "autograd/functions/elementwise.h"

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"

namespace eisbach::autograd {
namespace {

class AddNode final : public Node {
 public:
  absl::string_view name() const override { return "add"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_RETURN_IF_ERROR(Send(0, grads[0], context.stream));
    return Send(1, std::move(grads[0]), context.stream);
  }
};

class ScaleNode final : public Node {
 public:
  explicit ScaleNode(float factor) : factor_(factor) {}
  absl::string_view name() const override { return "scale"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Owned(std::move(grads[0]), context.stream));
    EISBACH_RETURN_IF_ERROR(ops::Scale(grad, factor_, context.stream));
    return Send(0, std::move(grad), context.stream);
  }

 private:
  float factor_;
};

class DropoutNode final : public Node {
 public:
  DropoutNode(double p, ops::DropoutSource source)
      : p_(p), source_(std::move(source)) {}
  absl::string_view name() const override { return "dropout"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dx, ops::Dropout(grads[0], p_, source_, context.stream));
    return Send(0, std::move(dx), context.stream);
  }

 private:
  double p_;
  ops::DropoutSource source_;
};

class SoftmaxNode final : public Node {
 public:
  explicit SoftmaxNode(Tensor y) : y_(std::move(y)) {}
  absl::string_view name() const override { return "softmax"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dx, ops::SoftmaxBackward(grads[0], y_, context.stream));
    return Send(0, std::move(dx), context.stream);
  }

 private:
  Tensor y_;
};

class ViewNode final : public Node {
 public:
  explicit ViewNode(Shape shape) : shape_(std::move(shape)) {}
  absl::string_view name() const override { return "view"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor dx, grads[0].View(shape_));
    return Send(0, std::move(dx), context.stream);
  }

 private:
  Shape shape_;
};

}  // namespace

absl::StatusOr<Tensor> Add(const Tensor& a, const Tensor& b, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor c, ops::Add(a, b, stream));
  if (Graph* graph = CurrentGraph()) graph->Record<AddNode>({&a, &b}, {&c});
  return c;
}

absl::StatusOr<Tensor> Scale(const Tensor& x, float factor, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(ops::Scale(x, factor, stream));
  Tensor y = x.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->Record<ScaleNode>({&x}, {&y}, factor);
  }
  return y;
}

absl::StatusOr<Tensor> Dropout(const Tensor& x, double p,
                               const ops::DropoutSource& source,
                               Stream& stream) {
  if (p == 0) return x;
  EISBACH_ASSIGN_OR_RETURN(Tensor y, ops::Dropout(x, p, source, stream));
  if (Graph* graph = CurrentGraph()) {
    graph->Record<DropoutNode>({&x}, {&y}, p, source);
  }
  return y;
}

absl::StatusOr<Tensor> Softmax(const Tensor& x, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, ops::SoftmaxForward(x, stream));
  if (Graph* graph = CurrentGraph()) {
    Tensor saved = y;
    graph->Record<SoftmaxNode>({&x}, {&y}, std::move(saved));
  }
  return y;
}

absl::StatusOr<Tensor> View(const Tensor& x, const Shape& shape) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, x.View(shape));
  if (Graph* graph = CurrentGraph()) {
    graph->Record<ViewNode>({&x}, {&y}, x.shape());
  }
  return y;
}

}  // namespace eisbach::autograd
