#pragma once

#include <utility>

#include "absl/status/statusor.h"
#include "parallel/pipeline/schedule.h"

namespace eisbach::parallel {

// Writes the list of one stage of a pipeline with one chunk a stage. Transfers
// collect until Exchange() lists them as one action; those that the stage or
// the step does not have (no neighbour, no such micro-batch) are left out, and
// so is an exchange that would be empty.
class ListBuilder {
 public:
  ListBuilder(const ScheduleShape& shape, int stage)
      : shape_(shape), stage_(stage) {}

  ListBuilder& Forward(int microbatch) {
    return Add(ActionKind::kForward, microbatch);
  }
  ListBuilder& Backward(int microbatch) {
    return Add(ActionKind::kBackward, microbatch);
  }
  ListBuilder& SendForward(int microbatch) {
    return Collect(Direction::kSend, Payload::kActivation, microbatch, +1);
  }
  ListBuilder& ReceiveForward(int microbatch) {
    return Collect(Direction::kReceive, Payload::kActivation, microbatch, -1);
  }
  ListBuilder& SendBackward(int microbatch) {
    return Collect(Direction::kSend, Payload::kGradient, microbatch, -1);
  }
  ListBuilder& ReceiveBackward(int microbatch) {
    return Collect(Direction::kReceive, Payload::kGradient, microbatch, +1);
  }
  ListBuilder& Exchange() {
    if (exchange_.transfers.empty()) return *this;
    list_.push_back(std::exchange(exchange_, {ActionKind::kExchange}));
    return *this;
  }

  // The list, ended by the reduction of the stage's gradients.
  ActionList Finish() {
    Exchange();
    Add(ActionKind::kReduce, -1);
    return std::move(list_);
  }

 private:
  ListBuilder& Add(ActionKind kind, int microbatch) {
    list_.push_back({kind, microbatch});
    return *this;
  }
  ListBuilder& Collect(Direction direction, Payload payload, int microbatch,
                       int step) {
    const int peer = stage_ + step;
    if (peer < 0 || peer >= shape_.stages) return *this;
    if (microbatch < 0 || microbatch >= shape_.microbatches) return *this;
    exchange_.transfers.push_back({direction, payload, microbatch, 0, peer});
    return *this;
  }

  const ScheduleShape shape_;
  const int stage_;
  ActionList list_;
  Action exchange_{ActionKind::kExchange};
};

// InvalidArgument unless the shape has one chunk a stage.
absl::Status CheckOneChunk(absl::string_view name, const ScheduleShape& shape);

}  // namespace eisbach::parallel
