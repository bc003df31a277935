#include "parallel/data/weight_gather.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::parallel {

absl::StatusOr<std::unique_ptr<WeightGather>> WeightGather::Make(
    FlatBuffer& buffer, comm::Communicator& group, Stream& compute) {
  std::unique_ptr<WeightGather> gather(
      new WeightGather(buffer, group, compute));
  EISBACH_ASSIGN_OR_RETURN(gather->stream_, compute.device().NewStream());
  gather->travels_.resize(buffer.buckets().size());
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    for (Parameter* parameter : buffer.buckets()[b].parameters) {
      gather->buckets_[parameter] = b;
      parameter->set_source(gather.get());
    }
  }
  return gather;
}

WeightGather::~WeightGather() {
  for (FlatBucket& bucket : buffer_.buckets()) {
    for (Parameter* parameter : bucket.parameters) {
      parameter->set_source(nullptr);
    }
  }
}

absl::Status WeightGather::Updated() {
  EISBACH_ASSIGN_OR_RETURN(Event updated, compute_.Record());
  EISBACH_RETURN_IF_ERROR(stream_->Wait(updated));
  for (size_t b = travels_.size(); b-- > 0;) {
    const FlatBucket& bucket = buffer_.buckets()[b];
    EISBACH_RETURN_IF_ERROR(
        Annotate(group_.AllGather(bucket.weights, bucket.data, *stream_),
                 absl::StrCat("weights of bucket ", b)));
    EISBACH_ASSIGN_OR_RETURN(travels_[b].arrived, stream_->Record());
    travels_[b].under_way = true;
  }
  return absl::OkStatus();
}

absl::Status WeightGather::Wait() {
  for (size_t b = travels_.size(); b-- > 0;) {
    EISBACH_RETURN_IF_ERROR(WaitFor(b));
  }
  return absl::OkStatus();
}

absl::Status WeightGather::BeforeUse(Parameter& parameter) {
  return WaitFor(buckets_.at(&parameter));
}

absl::Status WeightGather::WaitFor(size_t bucket) {
  Travel& travel = travels_[bucket];
  if (!travel.under_way) return absl::OkStatus();
  travel.under_way = false;
  return compute_.Wait(std::exchange(travel.arrived, Event()));
}

}  // namespace eisbach::parallel
