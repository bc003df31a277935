#include "parallel/data/reducer.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/status_macros.h"

namespace eisbach::parallel {

absl::StatusOr<std::unique_ptr<GradientReducer>> GradientReducer::Make(
    FlatBuffer& buffer, comm::Communicator& data, const ParameterUses& uses,
    Stream& compute, comm::Communicator* replicas) {
  std::unique_ptr<GradientReducer> reducer(
      new GradientReducer(buffer, data, replicas, compute));
  if (data.size() > 1) {
    EISBACH_ASSIGN_OR_RETURN(reducer->stream_, compute.device().NewStream());
  }
  reducer->buckets_.resize(buffer.buckets().size());
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    for (Parameter* parameter : buffer.buckets()[b].parameters) {
      const auto it = uses.find(parameter);
      const int count = it == uses.end() ? 1 : it->second;
      if (count < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(parameter->spec().name, ": ", count,
                         " uses per micro-batch is below 0"));
      }
      reducer->parameters_[parameter] = {.bucket = b, .uses = count};
    }
  }
  buffer.VisitParameters([&](Parameter& p) { p.set_sink(reducer.get()); });
  return reducer;
}

GradientReducer::~GradientReducer() {
  buffer_.VisitParameters([](Parameter& p) { p.set_sink(nullptr); });
}

absl::Status GradientReducer::BeginStep(int micro_batches) {
  if (micro_batches < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "micro_batches=", micro_batches, ": a step has at least one"));
  }
  buckets_.assign(buckets_.size(), BucketState());
  next_ = 0;
  for (FlatBucket& bucket : buffer_.buckets()) {
    for (Parameter* parameter : bucket.parameters) {
      ParameterState& state = parameters_.at(parameter);
      state.expected = state.uses * micro_batches;
      if (state.expected > 0) ++buckets_[state.bucket].open;
      parameter->ResetGradient();
    }
  }
  return absl::OkStatus();
}

absl::Status GradientReducer::OnGradient(Parameter& parameter) {
  ParameterState& state = parameters_.at(&parameter);
  BucketState& bucket = buckets_[state.bucket];
  if (bucket.started || state.expected == 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        parameter.spec().name, ": more gradients in a step than its ",
        state.uses, " uses per micro-batch"));
  }
  if (--state.expected > 0 || --bucket.open > 0) return absl::OkStatus();
  return StartReady();
}

absl::Status GradientReducer::StartReady() {
  while (next_ < buckets_.size() && buckets_[next_].open == 0) {
    EISBACH_RETURN_IF_ERROR(Start(next_++));
  }
  return absl::OkStatus();
}

absl::Status GradientReducer::Start(size_t index) {
  FlatBucket& bucket = buffer_.buckets()[index];
  buckets_[index].started = true;
  for (Parameter* parameter : bucket.parameters) {
    if (parameter->accumulate()) continue;
    const Tensor& grad = parameter->grad();
    EISBACH_RETURN_IF_ERROR(
        compute_.device().SetZero(grad.raw(), grad.bytes(), compute_));
  }
  if (stream_ == nullptr) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(Event written, compute_.Record());
  EISBACH_RETURN_IF_ERROR(stream_->Wait(written));
  return Annotate(Reduce(bucket), absl::StrCat("gradient bucket ", index));
}

absl::Status GradientReducer::Reduce(const FlatBucket& bucket) {
  constexpr comm::ReduceOp kSum = comm::ReduceOp::kSum;
  if (bucket.own.elements == bucket.elements) {
    return data_.AllReduce(bucket.grad, kSum, *stream_);
  }
  EISBACH_RETURN_IF_ERROR(
      data_.ReduceScatter(bucket.grad, bucket.reduced, kSum, *stream_));
  return replicas_ == nullptr
             ? absl::OkStatus()
             : replicas_->AllReduce(bucket.reduced, kSum, *stream_);
}

absl::Status GradientReducer::Finish() {
  while (next_ < buckets_.size()) EISBACH_RETURN_IF_ERROR(Start(next_++));
  if (stream_ == nullptr) return absl::OkStatus();
  const absl::Time begin = absl::Now();
  EISBACH_ASSIGN_OR_RETURN(Event reduced, stream_->Record());
  const absl::Status status = compute_.Wait(reduced);
  exposed_seconds_ += absl::ToDoubleSeconds(absl::Now() - begin);
  return status;
}

}  // namespace eisbach::parallel
