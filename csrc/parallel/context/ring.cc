#include "parallel/context/ring.h"

#include <optional>
#include <utility>

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "parallel/context/merge.h"
#include "parallel/context/packed.h"

namespace eisbach::parallel {
namespace {

// One step of a tensor round the ring, behind the compute stream.
class Hop {
 public:
  // Sends `mine` to the next rank, and receives the same from the one before.
  static absl::StatusOr<Hop> Begin(Tensor mine, const DividedRows& rows,
                                   Stream& compute) {
    Hop hop;
    EISBACH_ASSIGN_OR_RETURN(
        hop.received_,
        Tensor::Empty(mine.shape(), mine.dtype(), compute.device()));
    const int ranks = rows.group.size(), rank = rows.group.rank();
    EISBACH_ASSIGN_OR_RETURN(const Event before, compute.Record());
    EISBACH_RETURN_IF_ERROR(rows.travel.Wait(before));
    EISBACH_RETURN_IF_ERROR(rows.group.Exchange(
        {{comm::Transfer::Kind::kSend, (rank + 1) % ranks, mine},
         {comm::Transfer::Kind::kReceive, (rank + ranks - 1) % ranks,
          hop.received_}},
        rows.travel));
    hop.sent_ = std::move(mine);
    EISBACH_ASSIGN_OR_RETURN(hop.arrived_, rows.travel.Record());
    return hop;
  }

  // What has come; the compute stream waits for it, and for what was sent.
  absl::StatusOr<Tensor> End(Stream& compute) {
    EISBACH_RETURN_IF_ERROR(compute.Wait(arrived_));
    sent_ = Tensor();
    return std::move(received_);
  }

 private:
  Tensor sent_, received_;
  Event arrived_;
};

// Calls `use(keys_values, source)` for those of each rank, this one's first.
template <typename Use>
absl::Status RoundTheRing(Tensor keys_values, const DividedRows& rows,
                          Stream& stream, Use&& use) {
  const int ranks = rows.group.size(), rank = rows.group.rank();
  for (int hop = 0; hop < ranks; ++hop) {
    std::optional<Hop> next;
    if (hop + 1 < ranks) {
      EISBACH_ASSIGN_OR_RETURN(next, Hop::Begin(keys_values, rows, stream));
    }
    EISBACH_RETURN_IF_ERROR(use(keys_values, (rank - hop + ranks) % ranks));
    if (next) {
      EISBACH_ASSIGN_OR_RETURN(keys_values, next->End(stream));
    }
  }
  return absl::OkStatus();
}

class RingNode final : public autograd::Node {
 public:
  RingNode(Tensor qkv, MergedOutput merged, const ops::AttentionHeads& heads,
           ops::AttentionOptions options, const DividedRows& rows)
      : qkv_(std::move(qkv)),
        merged_(std::move(merged)),
        heads_(heads),
        options_(std::move(options)),
        rows_(rows) {}
  absl::string_view name() const override { return "ring_attention"; }

  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    Stream& stream = context.stream;
    EISBACH_ASSIGN_OR_RETURN(Tensor own, KeysAndValuesOf(qkv_, heads_, stream));
    const Shape shape = own.shape();
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor dqueries,
        Tensor::Zeros(merged_.out.shape(), DType::kF32, stream));
    // Gradients of keys and values follow them, one hop behind: each rank adds
    // its own, and the last hop brings them home.
    std::optional<Hop> gradients;
    EISBACH_RETURN_IF_ERROR(RoundTheRing(
        std::move(own), rows_, stream,
        [&](const Tensor& keys_values, int source) -> absl::Status {
          EISBACH_ASSIGN_OR_RETURN(Tensor mine,
                                   Tensor::Zeros(shape, DType::kF32, stream));
          EISBACH_RETURN_IF_ERROR(AddMergedGradient(
              grads[0], qkv_, keys_values, source, merged_, heads_, options_,
              rows_.zigzag, dqueries, mine, stream));
          if (gradients) {
            EISBACH_ASSIGN_OR_RETURN(const Tensor others,
                                     gradients->End(stream));
            EISBACH_RETURN_IF_ERROR(ops::AddInPlace(mine, others, stream));
          }
          EISBACH_ASSIGN_OR_RETURN(gradients,
                                   Hop::Begin(std::move(mine), rows_, stream));
          return absl::OkStatus();
        }));
    EISBACH_ASSIGN_OR_RETURN(const Tensor dkeys_values, gradients->End(stream));
    EISBACH_ASSIGN_OR_RETURN(Tensor dqkv, PackGradient(dqueries, dkeys_values,
                                                       qkv_.dtype(), stream));
    return Send(0, std::move(dqkv), stream);
  }

 private:
  Tensor qkv_;
  MergedOutput merged_;
  ops::AttentionHeads heads_;
  ops::AttentionOptions options_;
  DividedRows rows_;
};

}  // namespace

absl::StatusOr<Tensor> RingAttention(const Tensor& qkv,
                                     const ops::AttentionHeads& heads,
                                     const ops::AttentionOptions& options,
                                     const DividedRows& rows, Stream& stream) {
  const ops::AttentionOptions mine = rows.OptionsFor(options);
  EISBACH_ASSIGN_OR_RETURN(
      MergedAttention merged,
      MergedAttention::Make(qkv, heads, mine, rows.zigzag, stream));
  EISBACH_ASSIGN_OR_RETURN(Tensor own, KeysAndValuesOf(qkv, heads, stream));
  EISBACH_RETURN_IF_ERROR(RoundTheRing(
      std::move(own), rows, stream, [&](const Tensor& keys_values, int source) {
        return merged.Add(keys_values, source);
      }));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, merged.Out());
  Tensor y = out.Detach();
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<RingNode>({&qkv}, {&y}, qkv,
                            MergedOutput{std::move(out), merged.lse()}, heads,
                            mine, rows);
  }
  return y;
}

}  // namespace eisbach::parallel
