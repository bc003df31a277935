#include "autograd/functions/softcap.h"

#include <utility>

#include "autograd/graph.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "ops/softcap.h"

namespace eisbach::autograd {
namespace {

class SoftcapNode final : public Node {
 public:
  SoftcapNode(Tensor y, double cap) : y_(std::move(y)), cap_(cap) {}
  absl::string_view name() const override { return "softcap"; }
  absl::Status Backward(absl::Span<Tensor> grads,
                        BackwardContext& context) override {
    EISBACH_ASSIGN_OR_RETURN(Tensor grad,
                             Owned(std::move(grads[0]), context.stream));
    EISBACH_RETURN_IF_ERROR(
        ops::SoftcapBackward(grad, y_, cap_, context.stream));
    return Send(0, std::move(grad), context.stream);
  }

 private:
  Tensor y_;
  double cap_;
};

}  // namespace

absl::StatusOr<Tensor> Softcap(const Tensor& x, double cap, Stream& stream) {
  if (cap == 0) return x;
  EISBACH_RETURN_IF_ERROR(ops::Softcap(x, cap, stream));
  Graph* graph = CurrentGraph();
  if (graph == nullptr) return x.Detach();
  // A cross-entropy turns what it gets into its gradient.
  EISBACH_ASSIGN_OR_RETURN(Tensor y, ops::Cast(x, x.dtype(), stream));
  graph->Record<SoftcapNode>({&x}, {&y}, x.Detach(), cap);
  return y;
}

}  // namespace eisbach::autograd
