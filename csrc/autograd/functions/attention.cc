#include "autograd/functions/attention.h"

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/rope.h"

namespace eisbach::autograd {
namespace {

class AttentionNode final : public Node {
 public:
  AttentionNode(Tensor qkv, ops::AttentionOutput saved,
                const ops::AttentionHeads& heads, ops::AttentionOptions options)
      : qkv_(std::move(qkv)),
        saved_(std::move(saved)),
        heads_(heads),
        options_(std::move(options)) {}
  absl::string_view name() const override { return "attention"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dqkv,
        ops::AttentionBackward(grads[0], qkv_, saved_.out, saved_.lse, heads_,
                               context.stream, options_));
    return Send(0, std::move(dqkv), context.stream);
  }

 private:
  Tensor qkv_;
  ops::AttentionOutput saved_;
  ops::AttentionHeads heads_;
  ops::AttentionOptions options_;
};

class RopeNode final : public Node {
 public:
  RopeNode(const ops::AttentionHeads& heads, Tensor table, Tensor starts)
      : heads_(heads), table_(std::move(table)), starts_(std::move(starts)) {}
  absl::string_view name() const override { return "rope"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Owned(std::move(grads[0]), context.stream));
    EISBACH_RETURN_IF_ERROR(ops::Rope(grad, heads_, table_, /*inverse=*/true,
                                      context.stream, starts_));
    return Send(0, std::move(grad), context.stream);
  }

 private:
  ops::AttentionHeads heads_;
  Tensor table_;
  Tensor starts_;
};

class RopeAtNode final : public Node {
 public:
  RopeAtNode(const ops::AttentionHeads& heads, Tensor table, Tensor positions)
      : heads_(heads),
        table_(std::move(table)),
        positions_(std::move(positions)) {}
  absl::string_view name() const override { return "rope"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Owned(std::move(grads[0]), context.stream));
    EISBACH_RETURN_IF_ERROR(ops::RopeAt(grad, heads_, table_, positions_,
                                        /*inverse=*/true, context.stream));
    return Send(0, std::move(grad), context.stream);
  }

 private:
  ops::AttentionHeads heads_;
  Tensor table_;
  Tensor positions_;
};

}  // namespace

absl::StatusOr<Tensor> Attention(const Tensor& qkv,
                                 const ops::AttentionHeads& heads,
                                 Stream& stream,
                                 const ops::AttentionOptions& options) {
  EISBACH_ASSIGN_OR_RETURN(ops::AttentionOutput out,
                           ops::AttentionForward(qkv, heads, stream, options));
  Tensor y = out.out.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->Record<AttentionNode>({&qkv}, {&y}, qkv, std::move(out), heads,
                                 options);
  }
  return y;
}

absl::StatusOr<Tensor> Rope(const Tensor& qkv, const ops::AttentionHeads& heads,
                            const Tensor& table, Stream& stream,
                            const Tensor& starts) {
  EISBACH_RETURN_IF_ERROR(
      ops::Rope(qkv, heads, table, /*inverse=*/false, stream, starts));
  Tensor y = qkv.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->Record<RopeNode>({&qkv}, {&y}, heads, table, starts);
  }
  return y;
}

absl::StatusOr<Tensor> RopeAt(const Tensor& qkv,
                              const ops::AttentionHeads& heads,
                              const Tensor& table, const Tensor& positions,
                              Stream& stream) {
  EISBACH_RETURN_IF_ERROR(
      ops::RopeAt(qkv, heads, table, positions, /*inverse=*/false, stream));
  Tensor y = qkv.Detach();
  if (Graph* graph = CurrentGraph()) {
    graph->Record<RopeAtNode>({&qkv}, {&y}, heads, table, positions);
  }
  return y;
}

}  // namespace eisbach::autograd
