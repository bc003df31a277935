#include "parallel/data/shard_reducer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {
namespace {

// What lies between the parameters of `flat`, and behind the last.
absl::Status ZeroGaps(const FlatBucket& bucket, const Tensor& flat,
                      Stream& stream) {
  for (size_t i = 0; i < bucket.parameters.size(); ++i) {
    const int64_t begin =
        bucket.offsets[i] + bucket.parameters[i]->spec().shape.elements();
    const int64_t end = i + 1 < bucket.parameters.size() ? bucket.offsets[i + 1]
                                                         : bucket.elements;
    if (begin == end) continue;
    EISBACH_ASSIGN_OR_RETURN(const Tensor gap,
                             flat.Narrow(0, begin, end - begin));
    EISBACH_RETURN_IF_ERROR(
        stream.device().SetZero(gap.raw(), gap.bytes(), stream));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardReducer>> ShardReducer::Make(
    FlatBuffer& buffer, comm::Communicator& group, const ParameterUses& uses,
    Stream& compute, comm::Communicator* replicas, DType wire) {
  std::unique_ptr<ShardReducer> reducer(
      new ShardReducer(buffer, group, replicas, wire, compute));
  EISBACH_ASSIGN_OR_RETURN(reducer->stream_, compute.device().NewStream());
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

ShardReducer::~ShardReducer() {
  buffer_.VisitParameters([](Parameter& p) { p.set_sink(nullptr); });
}

absl::Status ShardReducer::BeginStep(int micro_batches) {
  if (micro_batches < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "micro_batches=", micro_batches, ": a step has at least one"));
  }
  micro_batches_ = micro_batches;
  next_round_ = 0;
  next_ = 0;
  travels_.clear();  // of a step that failed
  buckets_.assign(buckets_.size(), BucketState());
  for (auto& [parameter, state] : parameters_) state.given = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const FlatBucket& bucket = buffer_.buckets()[b];
    for (Parameter* parameter : bucket.parameters) parameter->ResetGradient();
    EISBACH_RETURN_IF_ERROR(BindGradients(bucket, Tensor()));
    CountOpen(b);
  }
  return absl::OkStatus();
}

void ShardReducer::CountOpen(size_t bucket) {
  BucketState& state = buckets_[bucket];
  state.open = 0;
  for (const Parameter* parameter : buffer_.buckets()[bucket].parameters) {
    const ParameterState& one = parameters_.at(parameter);
    if (one.given < one.uses * (state.rounds + 1)) ++state.open;
  }
}

absl::Status ShardReducer::Allocate(size_t index) {
  const FlatBucket& bucket = buffer_.buckets()[index];
  EISBACH_ASSIGN_OR_RETURN(const Tensor grad,
                           Tensor::SharedEmpty(Shape{bucket.elements},
                                               DType::kF32, compute_.device()));
  EISBACH_RETURN_IF_ERROR(ZeroGaps(bucket, grad, compute_));
  buckets_[index].grad = grad;
  return BindGradients(bucket, grad);
}

absl::Status ShardReducer::BeforeGradient(Parameter& parameter) {
  const size_t bucket = parameters_.at(&parameter).bucket;
  if (buckets_[bucket].grad.defined()) return absl::OkStatus();
  // What has arrived makes room.
  EISBACH_RETURN_IF_ERROR(Arrive(kMostTravels - 1));
  return Allocate(bucket);
}

absl::Status ShardReducer::OnGradient(Parameter& parameter) {
  ParameterState& state = parameters_.at(&parameter);
  BucketState& bucket = buckets_[state.bucket];
  if (state.given == state.uses * micro_batches_) {
    return absl::FailedPreconditionError(absl::StrCat(
        parameter.spec().name, ": more gradients in a step than its ",
        state.uses, " uses per micro-batch"));
  }
  ++state.given;
  if (state.given != state.uses * (bucket.rounds + 1)) return absl::OkStatus();
  if (--bucket.open > 0) return absl::OkStatus();
  return StartReady();
}

absl::Status ShardReducer::StartReady() {
  while (!done() && buckets_[next_].open == 0) {
    EISBACH_RETURN_IF_ERROR(StartNext());
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::StartNext() {
  EISBACH_RETURN_IF_ERROR(Start(next_));
  if (++next_ == buckets_.size()) {
    next_ = 0;
    ++next_round_;
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::Start(size_t index) {
  const FlatBucket& bucket = buffer_.buckets()[index];
  BucketState& state = buckets_[index];
  Device& device = compute_.device();
  if (!state.grad.defined()) EISBACH_RETURN_IF_ERROR(Allocate(index));
  for (Parameter* parameter : bucket.parameters) {
    const Tensor& grad = parameter->grad();
    if (!parameter->accumulate()) {
      EISBACH_RETURN_IF_ERROR(
          device.SetZero(grad.raw(), grad.bytes(), compute_));
    }
    parameter->ResetGradient();
  }
  EISBACH_RETURN_IF_ERROR(BindGradients(bucket, Tensor()));
  Travel travel{.bucket = index,
                .grad = std::exchange(state.grad, Tensor()),
                .sum = bucket.reduced,
                .first = state.rounds == 0};
  EISBACH_RETURN_IF_ERROR(Pack(travel));
  travel.last = ++state.rounds == micro_batches_;
  CountOpen(index);
  EISBACH_RETURN_IF_ERROR(Arrive(kMostTravels - 1));
  EISBACH_ASSIGN_OR_RETURN(Event written, compute_.Record());
  EISBACH_RETURN_IF_ERROR(stream_->Wait(written));
  EISBACH_RETURN_IF_ERROR(
      Annotate(Send(travel), absl::StrCat("gradient bucket ", index)));
  EISBACH_ASSIGN_OR_RETURN(travel.arrived, stream_->Record());
  travels_.push_back(std::move(travel));
  return absl::OkStatus();
}

absl::Status ShardReducer::Pack(Travel& travel) {
  Device& device = compute_.device();
  if (wire_ != DType::kF32) {
    EISBACH_ASSIGN_OR_RETURN(travel.grad,
                             ops::Cast(travel.grad, wire_, compute_));
    EISBACH_ASSIGN_OR_RETURN(travel.sum,
                             Tensor::Empty(travel.grad.shape(), wire_, device));
  } else if (!travel.first) {
    EISBACH_ASSIGN_OR_RETURN(
        travel.sum, Tensor::Empty(travel.sum.shape(), DType::kF32, device));
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::Send(const Travel& travel) {
  if (wire_ != DType::kF32) {
    return group_.AllToAll(travel.grad, travel.sum, *stream_);
  }
  return group_.ReduceScatter(travel.grad, travel.sum, comm::ReduceOp::kSum,
                              *stream_);
}

absl::Status ShardReducer::Arrive(size_t most) {
  while (travels_.size() > most) {
    const Travel travel = std::move(travels_.front());
    travels_.pop_front();
    EISBACH_RETURN_IF_ERROR(WaitFor(travel.arrived));
    EISBACH_RETURN_IF_ERROR(Add(travel));
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::Add(const Travel& travel) {
  const Tensor& reduced = buffer_.buckets()[travel.bucket].reduced;
  if (wire_ != DType::kF32) {
    EISBACH_RETURN_IF_ERROR(AddEach(travel));
  } else if (!travel.first) {
    EISBACH_RETURN_IF_ERROR(ops::AddInPlace(reduced, travel.sum, compute_));
  }
  if (!travel.last || replicas_ == nullptr) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(Event added, compute_.Record());
  EISBACH_RETURN_IF_ERROR(stream_->Wait(added));
  return replicas_->AllReduce(reduced, comm::ReduceOp::kSum, *stream_);
}

absl::Status ShardReducer::AddEach(const Travel& travel) {
  const Tensor& reduced = buffer_.buckets()[travel.bucket].reduced;
  const int64_t part = reduced.elements();
  for (int rank = 0; rank < group_.size(); ++rank) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor theirs,
                             travel.sum.Narrow(0, rank * part, part));
    if (travel.first && rank == 0) {
      EISBACH_RETURN_IF_ERROR(ops::Copy(theirs, reduced, compute_));
      continue;
    }
    EISBACH_ASSIGN_OR_RETURN(const Tensor wide,
                             ops::Cast(theirs, DType::kF32, compute_));
    EISBACH_RETURN_IF_ERROR(ops::AddInPlace(reduced, wide, compute_));
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::WaitFor(const Event& event) {
  const absl::Time begin = absl::Now();
  const absl::Status status = compute_.Wait(event);
  exposed_seconds_ += absl::ToDoubleSeconds(absl::Now() - begin);
  return status;
}

absl::Status ShardReducer::Finish() {
  while (!done()) EISBACH_RETURN_IF_ERROR(StartNext());
  EISBACH_RETURN_IF_ERROR(Arrive(0));
  EISBACH_ASSIGN_OR_RETURN(Event reduced, stream_->Record());
  return WaitFor(reduced);
}

}  // namespace eisbach::parallel
