#include "parallel/context/gather.h"

#include <utility>

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/attention_part.h"
#include "ops/elementwise.h"
#include "parallel/context/packed.h"

namespace eisbach::parallel {
namespace {

// [B, T, width], of all ranks.
absl::StatusOr<Tensor> GatherKeysAndValues(const Tensor& qkv,
                                           const ops::AttentionHeads& heads,
                                           const DividedRows& rows,
                                           Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor own,
                           KeysAndValuesOf(qkv, heads, stream));
  EISBACH_ASSIGN_OR_RETURN(const Tensor parts,
                           Tensor::Empty(Shape{rows.group.size(), own.dim(0),
                                               own.dim(1), own.dim(2)},
                                         own.dtype(), stream.device()));
  EISBACH_RETURN_IF_ERROR(rows.group.AllGather(own, parts, stream));
  return rows.zigzag.Join(parts, stream);
}

// Keys that the last of `queries` sees.
ops::AttentionSpan KeysFor(const ops::AttentionSpan& queries) {
  return {0, queries.position + queries.count, 0};
}

class GatherNode final : public autograd::Node {
 public:
  GatherNode(Tensor qkv, Tensor out, Tensor lse,
             const ops::AttentionHeads& heads, ops::AttentionOptions options,
             const DividedRows& rows)
      : qkv_(std::move(qkv)),
        out_(std::move(out)),
        lse_(std::move(lse)),
        heads_(heads),
        options_(std::move(options)),
        rows_(rows) {}
  absl::string_view name() const override { return "gather_attention"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    Stream& stream = context.stream;
    EISBACH_ASSIGN_OR_RETURN(const Tensor whole,
                             GatherKeysAndValues(qkv_, heads_, rows_, stream));
    EISBACH_ASSIGN_OR_RETURN(const Tensor dqueries,
                             Tensor::Zeros(out_.shape(), DType::kF32, stream));
    EISBACH_ASSIGN_OR_RETURN(const Tensor dwhole,
                             Tensor::Zeros(whole.shape(), DType::kF32, stream));
    for (const ops::AttentionSpan& queries : rows_.zigzag.Mine()) {
      EISBACH_RETURN_IF_ERROR(
          ops::AttentionPartBackward({.dout = grads[0],
                                      .qkv = qkv_,
                                      .keys_values = whole,
                                      .out = out_,
                                      .lse = lse_,
                                      .heads = heads_,
                                      .queries = queries,
                                      .keys = KeysFor(queries),
                                      .options = options_,
                                      .dqueries = dqueries,
                                      .dkeys_values = dwhole},
                                     stream));
    }
    EISBACH_ASSIGN_OR_RETURN(const Tensor parts,
                             rows_.zigzag.Cut(dwhole, stream));
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor own, Tensor::Empty(Shape(parts.shape().dims().subspan(1)),
                                        DType::kF32, stream.device()));
    EISBACH_RETURN_IF_ERROR(
        rows_.group.ReduceScatter(parts, own, comm::ReduceOp::kSum, stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor dqkv,
                             PackGradient(dqueries, own, qkv_.dtype(), stream));
    return Send(0, std::move(dqkv), stream);
  }

 private:
  Tensor qkv_, out_, lse_;
  ops::AttentionHeads heads_;
  ops::AttentionOptions options_;
  DividedRows rows_;
};

}  // namespace

absl::StatusOr<Tensor> GatherAttention(const Tensor& qkv,
                                       const ops::AttentionHeads& heads,
                                       const ops::AttentionOptions& options,
                                       const DividedRows& rows,
                                       Stream& stream) {
  const ops::AttentionOptions mine = rows.OptionsFor(options);
  EISBACH_ASSIGN_OR_RETURN(const Tensor whole,
                           GatherKeysAndValues(qkv, heads, rows, stream));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor out,
      Tensor::Empty(Shape{qkv.dim(0), qkv.dim(1), heads.heads * heads.head_dim},
                    DType::kF32, stream.device()));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor lse, Tensor::Empty(Shape{qkv.dim(0), heads.heads, qkv.dim(1)},
                                DType::kF32, stream.device()));
  for (const ops::AttentionSpan& queries : rows.zigzag.Mine()) {
    EISBACH_RETURN_IF_ERROR(ops::AttentionPart({.qkv = qkv,
                                                .keys_values = whole,
                                                .heads = heads,
                                                .queries = queries,
                                                .keys = KeysFor(queries),
                                                .options = mine,
                                                .merges = false,
                                                .out = out,
                                                .lse = lse},
                                               stream));
  }
  if (qkv.dtype() != DType::kF32) {
    EISBACH_ASSIGN_OR_RETURN(out, ops::Cast(out, qkv.dtype(), stream));
  }
  Tensor y = out.Detach();
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<GatherNode>({&qkv}, {&y}, qkv, std::move(out), std::move(lse),
                              heads, mine, rows);
  }
  return y;
}

}  // namespace eisbach::parallel
