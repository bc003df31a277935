#include "train/stage_program.h"

#include <utility>

#include "core/status_macros.h"
#include "parallel/tensor/sequence.h"

namespace eisbach::train {
namespace {

// Where backward starts, without the storage of the values.
Tensor EdgeOf(const Tensor& tensor) {
  Tensor edge;
  edge.set_grad_edge(tensor.grad_edge());
  return edge;
}

}  // namespace

absl::Status TransformerProgram::Begin(StepInput input, int64_t micro_batch,
                                       float loss_scale, const LossSums& sums,
                                       nn::ForwardContext context,
                                       std::optional<PairTask> pairs) {
  if (context.training && dividing_ranks_ > 1) {
    EISBACH_ASSIGN_OR_RETURN(
        context.share,
        parallel::ShareTokens(
            {micro_batch, input.tokens.dim(1) / row_parts(), dividing_ranks_},
            tensor_rank_));
    context.share->beside = gathers_.get();
  }
  input_ = std::move(input);
  pairs_ = std::move(pairs);
  micro_batch_ = micro_batch;
  loss_scale_ = loss_scale;
  losses_ = sums.losses;
  context.counted = sums.counted;
  context_ = std::make_unique<nn::ForwardContext>(std::move(context));
  // A step that failed may have left some behind.
  for (Flight& flight : flights_) {
    if (flight.graph == nullptr) continue;
    flight.graph->Clear();
    idle_graphs_.push_back(std::move(flight.graph));
  }
  flights_.clear();
  flights_.resize(input_.tokens.dim(0) / micro_batch * model_.chunks());
  return absl::OkStatus();
}

void TransformerProgram::Release() {
  input_.reference = Tensor();
  pairs_.reset();
}

Shape TransformerProgram::ActivationShape(int) const {
  if (context_->share) {
    return Shape{1, context_->share->count, model_.config().hidden};
  }
  return Shape{micro_batch_, input_.tokens.dim(1) / row_parts(),
               model_.config().hidden};
}

absl::StatusOr<Tensor> TransformerProgram::Rows(const Tensor& all,
                                                int microbatch) const {
  return all.Narrow(0, microbatch * micro_batch_, micro_batch_);
}

absl::StatusOr<Tensor> TransformerProgram::Part(const Tensor& all,
                                                int microbatch) const {
  EISBACH_ASSIGN_OR_RETURN(Tensor rows, Rows(all, microbatch));
  return sequence_ == nullptr ? rows : sequence_->Take(rows);
}

absl::StatusOr<Tensor> TransformerProgram::Forward(int microbatch, int chunk,
                                                   const Tensor& input) {
  Flight& flight = FlightOf(microbatch, chunk);
  autograd::Graph* graph = nullptr;
  if (context_->training) {
    if (idle_graphs_.empty()) {
      idle_graphs_.push_back(std::make_unique<autograd::Graph>());
    }
    flight.graph = std::move(idle_graphs_.back());
    idle_graphs_.pop_back();
    graph = flight.graph.get();
    graph->set_observer(observer_);
  }
  autograd::GraphScope scope(graph);
  return Run(microbatch, chunk, input, flight);
}

absl::StatusOr<Tensor> TransformerProgram::Run(int microbatch, int chunk,
                                               const Tensor& input,
                                               Flight& flight) {
  nn::ForwardContext context = *context_;
  EISBACH_ASSIGN_OR_RETURN(context.sample_index,
                           Rows(input_.sample_index, microbatch));
  if (input_.starts.defined()) {
    EISBACH_ASSIGN_OR_RETURN(context.starts, Rows(input_.starts, microbatch));
  }
  if (sequence_ != nullptr) {
    EISBACH_ASSIGN_OR_RETURN(
        context.part, sequence_->PartOf(micro_batch_, input_.tokens.dim(1),
                                        std::exchange(context.starts, {})));
  }
  Tensor x = input;
  if (model_.IsFirst(chunk)) {
    EISBACH_ASSIGN_OR_RETURN(x, Part(input_.tokens, microbatch));
  } else if (flight.graph != nullptr) {
    x = flight.graph->Leaf(input);
    flight.input = EdgeOf(x);
  }
  EISBACH_ASSIGN_OR_RETURN(Tensor y, model_.Forward(x, context, chunk));
  if (!model_.IsLast(chunk)) {
    flight.output = EdgeOf(y);
    return y.Detach();
  }
  EISBACH_RETURN_IF_ERROR(End(microbatch, y, context, flight));
  return Tensor();
}

absl::Status TransformerProgram::End(int microbatch, const Tensor& y,
                                     const nn::ForwardContext& context,
                                     Flight& flight) {
  nn::Head& head = model_.head();
  EISBACH_ASSIGN_OR_RETURN(Tensor targets, Part(input_.targets, microbatch));
  const auto keep = [&](const Tensor& from, const Tensor& to) {
    return context.stream.device().CopyOnDevice(to.raw(), from.raw(),
                                                from.bytes(), context.stream);
  };
  if (pairs_ && pairs_->rule == nullptr) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor sums,
                             head.PairLogProbabilities(y, targets, context));
    EISBACH_ASSIGN_OR_RETURN(const Tensor place,
                             Rows(pairs_->measured, microbatch));
    return keep(sums, place);
  }
  Tensor loss;
  if (pairs_) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor reference,
                             Rows(input_.reference, microbatch));
    EISBACH_ASSIGN_OR_RETURN(
        loss, head.Preference(y, targets, reference, *pairs_->rule, loss_scale_,
                              context));
  } else {
    EISBACH_ASSIGN_OR_RETURN(loss, head.Loss(y, targets, loss_scale_, context));
  }
  EISBACH_ASSIGN_OR_RETURN(const Tensor place,
                           losses_.Narrow(0, microbatch, 1));
  EISBACH_RETURN_IF_ERROR(keep(loss, place));
  flight.output = std::move(loss);
  return absl::OkStatus();
}

absl::StatusOr<Tensor> TransformerProgram::Backward(int microbatch, int chunk,
                                                    parallel::BackwardPart part,
                                                    const Tensor& gradient) {
  Flight& flight = FlightOf(microbatch, chunk);
  autograd::BackwardContext context{
      context_->stream,
      part == parallel::BackwardPart::kInput ? &flight.deferred : nullptr};
  // The loss has its scale inside; its seed is any defined tensor.
  const Tensor& seed = model_.IsLast(chunk) ? flight.output : gradient;
  EISBACH_RETURN_IF_ERROR(
      flight.graph->Backward({flight.output}, {seed}, context));
  Tensor input_gradient;
  if (!model_.IsFirst(chunk)) {
    input_gradient = flight.graph->TakeGradient(flight.input);
  }
  flight.graph->Clear();
  idle_graphs_.push_back(std::move(flight.graph));
  flight.input = Tensor();
  flight.output = Tensor();
  return input_gradient;
}

absl::Status TransformerProgram::BackwardWeight(int microbatch, int chunk) {
  return FlightOf(microbatch, chunk).deferred.Run(context_->stream);
}

}  // namespace eisbach::train
