#include "parallel/data/gradient_sum.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/status_macros.h"

namespace eisbach::parallel {

absl::Status GradientSum::Attach(const ParameterUses& uses, bool sends) {
  if (sends) {
    EISBACH_ASSIGN_OR_RETURN(stream_, compute_.device().NewStream());
  }
  buckets_.resize(buffer_.buckets().size());
  for (size_t b = 0; b < buckets_.size(); ++b) {
    for (const Parameter* parameter : buffer_.buckets()[b].parameters) {
      const auto it = uses.find(parameter);
      const int count = it == uses.end() ? 1 : it->second;
      if (count < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat(parameter->spec().name, ": ", count,
                         " uses per micro-batch is below 0"));
      }
      parameters_[parameter] = {.bucket = b, .uses = count};
    }
  }
  buffer_.VisitParameters([this](Parameter& p) { p.set_sink(this); });
  return absl::OkStatus();
}

GradientSum::~GradientSum() {
  buffer_.VisitParameters([](Parameter& p) { p.set_sink(nullptr); });
}

int GradientSum::Due(const ParameterState& state, int rounds) const {
  const int per_use = round_ == Round::kStep ? micro_batches_ : 1;
  return state.uses * per_use * rounds;
}

absl::Status GradientSum::BeginStep(int micro_batches) {
  if (micro_batches < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "micro_batches=", micro_batches, ": a step has at least one"));
  }
  micro_batches_ = micro_batches;
  rounds_ = round_ == Round::kStep ? 1 : micro_batches;
  next_round_ = 0;
  next_ = 0;
  for (auto& [parameter, state] : parameters_) state.given = 0;
  buckets_.assign(buckets_.size(), BucketState());
  for (size_t b = 0; b < buckets_.size(); ++b) {
    for (Parameter* parameter : buffer_.buckets()[b].parameters) {
      parameter->ResetGradient();
    }
    CountOpen(b);
  }
  return Reset();
}

void GradientSum::CountOpen(size_t bucket) {
  BucketState& state = buckets_[bucket];
  state.open = 0;
  for (const Parameter* parameter : buffer_.buckets()[bucket].parameters) {
    const ParameterState& one = parameters_.at(parameter);
    if (one.given < Due(one, state.rounds + 1)) ++state.open;
  }
}

absl::Status GradientSum::OnGradient(Parameter& parameter) {
  ParameterState& state = parameters_.at(&parameter);
  BucketState& bucket = buckets_[state.bucket];
  if (bucket.rounds == rounds_ || state.given == Due(state, rounds_)) {
    return absl::FailedPreconditionError(absl::StrCat(
        parameter.spec().name, ": more gradients in a step than its ",
        state.uses, " uses per micro-batch"));
  }
  if (++state.given != Due(state, bucket.rounds + 1)) return absl::OkStatus();
  if (--bucket.open > 0) return absl::OkStatus();
  return StartReady();
}

absl::Status GradientSum::StartReady() {
  while (!done() && buckets_[next_].open == 0) {
    EISBACH_RETURN_IF_ERROR(StartNext());
  }
  return absl::OkStatus();
}

absl::Status GradientSum::StartNext() {
  const size_t index = next_;
  BucketState& bucket = buckets_[index];
  const Turn turn{.bucket = index,
                  .first = bucket.rounds == 0,
                  .last = bucket.rounds + 1 == rounds_};
  ++bucket.rounds;
  CountOpen(index);
  if (++next_ == buckets_.size()) {
    next_ = 0;
    ++next_round_;
  }
  return Annotate(Start(turn), absl::StrCat("gradient bucket ", index));
}

absl::Status GradientSum::Finish() {
  while (!done()) EISBACH_RETURN_IF_ERROR(StartNext());
  EISBACH_RETURN_IF_ERROR(Arrive());
  if (stream_ == nullptr) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(Event reduced, stream_->Record());
  return ExposeWait(reduced);
}

absl::Status GradientSum::ZeroUnwritten(const FlatBucket& bucket) {
  for (const Parameter* parameter : bucket.parameters) {
    if (parameter->accumulate()) continue;
    const Tensor& grad = parameter->grad();
    EISBACH_RETURN_IF_ERROR(
        compute_.device().SetZero(grad.raw(), grad.bytes(), compute_));
  }
  return absl::OkStatus();
}

absl::Status GradientSum::WaitForCompute() {
  EISBACH_ASSIGN_OR_RETURN(Event written, compute_.Record());
  return stream_->Wait(written);
}

absl::Status GradientSum::ExposeWait(const Event& event) {
  const absl::Time begin = absl::Now();
  const absl::Status status = compute_.Wait(event);
  exposed_seconds_ += absl::ToDoubleSeconds(absl::Now() - begin);
  return status;
}

}  // namespace eisbach::parallel
