#include "autograd/functions/head_norm.h"

#include <array>

#include "autograd/functions/written_gradient.h"
#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/head_norm.h"

namespace eisbach::autograd {
namespace {

// The query, key and value heads of a packed qkv.
absl::StatusOr<std::array<Tensor, 3>> Parts(const Tensor& qkv,
                                            const ops::AttentionHeads& heads) {
  std::array<Tensor, 3> parts;
  int64_t start = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t count = i == 0 ? heads.heads : heads.kv_heads;
    EISBACH_ASSIGN_OR_RETURN(parts[i],
                             qkv.Narrow(2, start, count * heads.head_dim));
    start += count * heads.head_dim;
  }
  return parts;
}

class HeadNormNode final : public Node {
 public:
  HeadNormNode(Tensor qkv, std::array<Tensor, 2> rstd,
               const ops::AttentionHeads& heads, Parameter& query,
               Parameter& key, ops::NormKind kind)
      : qkv_(std::move(qkv)),
        rstd_(std::move(rstd)),
        heads_(heads),
        weights_{&query, &key},
        kind_(kind) {}

  absl::string_view name() const override { return "head_norm"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(const auto x, Parts(qkv_, heads_));
    EISBACH_ASSIGN_OR_RETURN(const auto dy, Parts(grads[0], heads_));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor dqkv, Tensor::Empty(qkv_.shape(), qkv_.dtype(), qkv_.device()));
    EISBACH_ASSIGN_OR_RETURN(const auto dx, Parts(dqkv, heads_));
    for (size_t i = 0; i < weights_.size(); ++i) {
      Parameter& weight = *weights_[i];
      EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
      EISBACH_ASSIGN_OR_RETURN(const Tensor dweight,
                               WrittenGradient(weight, context.stream));
      EISBACH_RETURN_IF_ERROR(ops::HeadNormBackward(
          dy[i], x[i], weight.data(), rstd_[i], weight.accumulate(), dweight,
          dx[i], context.stream, kind_));
      if (weight.trains()) EISBACH_RETURN_IF_ERROR(weight.GradientWritten());
    }
    EISBACH_RETURN_IF_ERROR(ops::Copy(dy[2], dx[2], context.stream));
    return Send(0, std::move(dqkv), context.stream);
  }

 private:
  Tensor qkv_;
  std::array<Tensor, 2> rstd_;
  ops::AttentionHeads heads_;
  std::array<Parameter*, 2> weights_;
  ops::NormKind kind_;
};

}  // namespace

absl::StatusOr<Tensor> HeadNorm(double eps, const Tensor& qkv,
                                const ops::AttentionHeads& heads,
                                Parameter& query, Parameter& key,
                                Stream& stream, ops::NormKind kind) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor y, Tensor::Empty(qkv.shape(), qkv.dtype(), qkv.device()));
  EISBACH_ASSIGN_OR_RETURN(const auto from, Parts(qkv, heads));
  EISBACH_ASSIGN_OR_RETURN(const auto to, Parts(y, heads));
  std::array<Tensor, 2> rstd;
  for (size_t i = 0; i < rstd.size(); ++i) {
    Parameter& weight = i == 0 ? query : key;
    EISBACH_RETURN_IF_ERROR(weight.BeforeUse());
    EISBACH_ASSIGN_OR_RETURN(
        rstd[i],
        ops::HeadNormForward(eps, from[i], weight.data(), to[i], stream, kind));
  }
  EISBACH_RETURN_IF_ERROR(ops::Copy(from[2], to[2], stream));
  if (Graph* graph = CurrentGraph()) {
    graph->RecordTraining<HeadNormNode>(Trains(query, &key), {&qkv}, {&y}, qkv,
                                        std::move(rstd), heads, query, key,
                                        kind);
  }
  return y;
}

}  // namespace eisbach::autograd
