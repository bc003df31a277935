#include "parallel/tensor/functions/collectives.h"

#include <utility>

#include "autograd/graph.h"
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

}  // namespace

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

}  // namespace eisbach::parallel
