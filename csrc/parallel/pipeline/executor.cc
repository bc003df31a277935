#include "parallel/pipeline/executor.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/dependencies.h"

namespace eisbach::parallel {
namespace {

StepPart PartOf(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return StepPart::kForward;
    case ActionKind::kBackward:
    case ActionKind::kBackwardInput:
    case ActionKind::kBackwardWeight:
      return StepPart::kBackward;
    case ActionKind::kReduce:
      return StepPart::kReduction;
    case ActionKind::kExchange:
      break;
  }
  return StepPart::kHost;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Executor>> Executor::Make(
    comm::Communicator& pipeline, Stream& compute) {
  std::unique_ptr<Executor> executor(new Executor(pipeline, compute));
  EISBACH_ASSIGN_OR_RETURN(executor->exchanges_, compute.device().NewStream());
  return executor;
}

absl::Status Executor::Run(const ScheduleShape& shape,
                           const ActionList& actions, StageProgram& program) {
  arrived_.clear();
  made_.clear();
  Tracer& tracer = compute_.device().tracer();
  Recorder* const recorder = compute_.device().recorder();
  for (const Action& action : actions) {
    const ActionMark mark{.letter = Letter(action.kind),
                          .chunk = action.chunk,
                          .micro_batch = action.microbatch};
    if (recorder != nullptr) recorder->OnAction(mark);
    if (activity_ != nullptr) activity_->BeginAction(mark);
    const std::string name = tracer.recording() ? ToString(action) : "";
    const TraceSpan span(compute_, {.kind = SpanKind::kAction,
                                    .name = name,
                                    .detail = Name(action.kind),
                                    .index = action.microbatch});
    EISBACH_RETURN_IF_ERROR(Annotate(
        RunAction(shape, action, program),
        absl::StrCat("stage ", pipeline_.rank(), ", ", ToString(action))));
  }
  if (recorder != nullptr) recorder->OnAction({});
  if (activity_ != nullptr) activity_->BeginAction({});
  // Sends may still be on their way; the compute stream need not wait for
  // them, but the next step's exchanges come after them.
  if (!arrived_.empty() || !made_.empty()) {
    return absl::InternalError(
        absl::StrCat("stage ", pipeline_.rank(), " ends its schedule with ",
                     arrived_.size(), " tensors received and not used and ",
                     made_.size(), " made and not sent"));
  }
  return absl::OkStatus();
}

absl::Status Executor::RunAction(const ScheduleShape& shape,
                                 const Action& action, StageProgram& program) {
  const StepClock::Scope scope(compute_.device().step_clock(),
                               PartOf(action.kind));
  switch (action.kind) {
    case ActionKind::kForward: {
      EISBACH_ASSIGN_OR_RETURN(Tensor input, Input(shape, action));
      EISBACH_ASSIGN_OR_RETURN(
          Tensor output,
          program.Forward(action.microbatch, action.chunk, input));
      Output(shape, action, std::move(output));
      return absl::OkStatus();
    }
    case ActionKind::kBackward:
    case ActionKind::kBackwardInput: {
      EISBACH_ASSIGN_OR_RETURN(Tensor gradient, Input(shape, action));
      const BackwardPart part = action.kind == ActionKind::kBackward
                                    ? BackwardPart::kAll
                                    : BackwardPart::kInput;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor input_gradient,
          program.Backward(action.microbatch, action.chunk, part, gradient));
      Output(shape, action, std::move(input_gradient));
      return absl::OkStatus();
    }
    case ActionKind::kBackwardWeight:
      return program.BackwardWeight(action.microbatch, action.chunk);
    case ActionKind::kExchange:
      return RunExchange(action, program);
    case ActionKind::kReduce:
      return program.Reduce(action.chunk);
  }
  return absl::OkStatus();
}

absl::Status Executor::RunExchange(const Action& action,
                                   StageProgram& program) {
  std::vector<comm::Transfer> transfers;
  std::vector<Key> receives;
  for (const StageTransfer& transfer : action.transfers) {
    const Key key{transfer.payload, transfer.microbatch, transfer.chunk};
    if (transfer.direction == Direction::kSend) {
      auto it = made_.find(key);
      if (it == made_.end()) {
        return absl::InternalError(
            absl::StrCat("nothing made ", ToString(transfer)));
      }
      transfers.push_back(
          {comm::Transfer::Kind::kSend, transfer.peer, std::move(it->second)});
      made_.erase(it);
    } else {
      EISBACH_ASSIGN_OR_RETURN(
          Tensor tensor,
          Tensor::Empty(program.ActivationShape(transfer.microbatch),
                        program.ActivationDType(), compute_.device()));
      transfers.push_back(
          {comm::Transfer::Kind::kReceive, transfer.peer, tensor});
      arrived_[key].tensor = std::move(tensor);
      receives.push_back(key);
    }
  }
  // What is sent was made on the compute stream, and what is received into may
  // have been read by it under another name.
  EISBACH_ASSIGN_OR_RETURN(Event ready, compute_.Record());
  EISBACH_RETURN_IF_ERROR(exchanges_->Wait(ready));
  EISBACH_RETURN_IF_ERROR(pipeline_.Exchange(transfers, *exchanges_));
  EISBACH_ASSIGN_OR_RETURN(Event done, exchanges_->Record());
  for (const Key& key : receives) arrived_[key].event = done;
  return absl::OkStatus();
}

absl::StatusOr<Tensor> Executor::Input(const ScheduleShape& shape,
                                       const Action& action) {
  if (!PartBefore(shape, pipeline_.rank(), action)) return Tensor();
  const Key key{PayloadOf(action.kind), action.microbatch, action.chunk};
  auto it = arrived_.find(key);
  if (it == arrived_.end()) {
    return absl::InternalError("nothing received or made here for it to read");
  }
  if (it->second.event) {
    EISBACH_RETURN_IF_ERROR(compute_.Wait(*it->second.event));
  }
  Tensor tensor = std::move(it->second.tensor);
  arrived_.erase(it);
  return tensor;
}

void Executor::Output(const ScheduleShape& shape, const Action& action,
                      Tensor tensor) {
  const std::optional<int> after = PartAfter(shape, pipeline_.rank(), action);
  if (!after) return;
  const Place reader = PlaceOf(shape, *after);
  const Payload payload = PayloadOf(action.kind);
  if (reader.stage == pipeline_.rank()) {
    arrived_[Key{payload, action.microbatch, reader.chunk}].tensor =
        std::move(tensor);
  } else {
    made_[Key{payload, action.microbatch, action.chunk}] = std::move(tensor);
  }
}

}  // namespace eisbach::parallel
