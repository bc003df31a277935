#include "parallel/tensor/functions/collectives.h"

#include <utility>

#include "autograd/graph.h"
#include "autograd/saved.h"
#include "core/status_macros.h"

namespace eisbach::parallel {
namespace {

class EnterNode final : public autograd::Node {
 public:
  explicit EnterNode(comm::Communicator& group) : group_(group) {}
  absl::string_view name() const override { return "enter_tensor_region"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Owned(std::move(grads[0]), context.stream));
    EISBACH_RETURN_IF_ERROR(
        group_.AllReduce(grad, comm::ReduceOp::kSum, context.stream));
    return Send(0, std::move(grad), context.stream);
  }
  bool Remakes(int) const override { return RemakesInput(0); }
  absl::StatusOr<Tensor> Remake(int, Stream& stream) override {
    return RemakeInput(0, stream);
  }

 private:
  comm::Communicator& group_;
};

class LeaveNode final : public autograd::Node {
 public:
  absl::string_view name() const override { return "leave_tensor_region"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    return Send(0, std::move(grads[0]), context.stream);
  }
};

// Room for x of all tokens.
absl::StatusOr<Tensor> All(const Tensor& x, const nn::TokenShare& share) {
  return Tensor::Empty(Shape{share.samples, share.positions, x.dim(-1)},
                       x.dtype(), x.device());
}

absl::StatusOr<Tensor> Gather(const Tensor& x, const nn::TokenShare& share,
                              comm::Communicator& group, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor all, All(x, share));
  EISBACH_RETURN_IF_ERROR(group.AllGather(x, all, stream));
  return all;
}

absl::StatusOr<Tensor> SumAndKeep(const Tensor& x, const nn::TokenShare& share,
                                  comm::Communicator& group, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor mine, Tensor::Empty(Shape{1, share.count, x.dim(-1)}, x.dtype(),
                                 stream.device()));
  EISBACH_RETURN_IF_ERROR(
      group.ReduceScatter(x, mine, comm::ReduceOp::kSum, stream));
  return mine;
}

class GatherNode final : public autograd::Node {
 public:
  GatherNode(const Tensor& x, const nn::TokenShare& share,
             comm::Communicator& group)
      : x_(x), share_(share), group_(group) {}
  absl::string_view name() const override { return "gather_tokens"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor grad, SumAndKeep(grads[0], share_, group_, context.stream));
    return Send(0, std::move(grad), context.stream);
  }
  bool Remakes(int) const override { return true; }
  absl::Status BeginRemake(int, Stream& stream) override {
    if (share_.beside == nullptr || begun_.defined()) return absl::OkStatus();
    EISBACH_ASSIGN_OR_RETURN(const Tensor x, x_.Get(stream));
    EISBACH_ASSIGN_OR_RETURN(const Tensor all, All(x, share_));
    EISBACH_ASSIGN_OR_RETURN(const Event before, stream.Record());
    EISBACH_RETURN_IF_ERROR(share_.beside->Wait(before));
    EISBACH_RETURN_IF_ERROR(group_.AllGather(x, all, *share_.beside));
    EISBACH_ASSIGN_OR_RETURN(gathered_, share_.beside->Record());
    begun_ = all;
    return absl::OkStatus();
  }
  absl::StatusOr<Tensor> Remake(int, Stream& stream) override {
    if (begun_.defined()) {
      EISBACH_RETURN_IF_ERROR(stream.Wait(std::exchange(gathered_, {})));
      return std::exchange(begun_, {});
    }
    EISBACH_ASSIGN_OR_RETURN(const Tensor x, x_.Get(stream));
    return Gather(x, share_, group_, stream);
  }

 private:
  autograd::Saved x_;
  nn::TokenShare share_;
  comm::Communicator& group_;
  // Of BeginRemake, until Remake.
  Tensor begun_;
  Event gathered_;
};

class ScatterNode final : public autograd::Node {
 public:
  ScatterNode(const nn::TokenShare& share, comm::Communicator& group)
      : share_(share), group_(group) {}
  absl::string_view name() const override { return "scatter_tokens"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        autograd::BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Gather(grads[0], share_, group_, context.stream));
    return Send(0, std::move(grad), context.stream);
  }

 private:
  nn::TokenShare share_;
  comm::Communicator& group_;
};

}  // namespace

absl::StatusOr<Tensor> EnterTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         const nn::ForwardContext& context) {
  return context.share ? GatherTokens(x, *context.share, group, context.stream)
                       : EnterTensorRegion(x, group, context.stream);
}

absl::StatusOr<Tensor> LeaveTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         const nn::ForwardContext& context) {
  return context.share ? ScatterTokens(x, *context.share, group, context.stream)
                       : LeaveTensorRegion(x, group, context.stream);
}

absl::StatusOr<Tensor> EnterTensorRegion(const Tensor& x,
                                         comm::Communicator& group, Stream&) {
  Tensor y = x.Detach();
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<EnterNode>({&x}, {&y}, group);
  }
  return y;
}

absl::StatusOr<Tensor> LeaveTensorRegion(const Tensor& x,
                                         comm::Communicator& group,
                                         Stream& stream) {
  EISBACH_RETURN_IF_ERROR(group.AllReduce(x, comm::ReduceOp::kSum, stream));
  Tensor y = x.Detach();
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<LeaveNode>({&x}, {&y});
  }
  return y;
}

absl::StatusOr<Tensor> GatherTokens(const Tensor& x,
                                    const nn::TokenShare& share,
                                    comm::Communicator& group, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, Gather(x, share, group, stream));
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<GatherNode>({&x}, {&y}, x, share, group);
  }
  return y;
}

absl::StatusOr<Tensor> ScatterTokens(const Tensor& x,
                                     const nn::TokenShare& share,
                                     comm::Communicator& group,
                                     Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor y, SumAndKeep(x, share, group, stream));
  if (autograd::Graph* graph = autograd::CurrentGraph()) {
    graph->Record<ScatterNode>({&x}, {&y}, share, group);
  }
  return y;
}

}  // namespace eisbach::parallel
