#include "parallel/data/shard_reducer.h"

#include <utility>

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
  EISBACH_RETURN_IF_ERROR(reducer->Attach(uses, /*sends=*/true));
  return reducer;
}

absl::Status ShardReducer::Reset() {
  travels_.clear();  // of a step that failed
  grads_.assign(buffer_.buckets().size(), Tensor());
  for (const FlatBucket& bucket : buffer_.buckets()) {
    EISBACH_RETURN_IF_ERROR(BindGradients(bucket, Tensor()));
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::Allocate(size_t index) {
  const FlatBucket& bucket = buffer_.buckets()[index];
  EISBACH_ASSIGN_OR_RETURN(const Tensor grad,
                           Tensor::SharedEmpty(Shape{bucket.elements},
                                               DType::kF32, compute_.device()));
  EISBACH_RETURN_IF_ERROR(ZeroGaps(bucket, grad, compute_));
  grads_[index] = grad;
  return BindGradients(bucket, grad);
}

absl::Status ShardReducer::BeforeGradient(Parameter& parameter) {
  const size_t bucket = BucketOf(parameter);
  if (grads_[bucket].defined()) return absl::OkStatus();
  // What has arrived makes room.
  EISBACH_RETURN_IF_ERROR(ArriveUntil(kMostTravels - 1));
  return Allocate(bucket);
}

absl::Status ShardReducer::Start(const Turn& turn) {
  const FlatBucket& bucket = buffer_.buckets()[turn.bucket];
  Tensor& grad = grads_[turn.bucket];
  if (!grad.defined()) EISBACH_RETURN_IF_ERROR(Allocate(turn.bucket));
  EISBACH_RETURN_IF_ERROR(ZeroUnwritten(bucket));
  for (Parameter* parameter : bucket.parameters) parameter->ResetGradient();
  EISBACH_RETURN_IF_ERROR(BindGradients(bucket, Tensor()));
  Travel travel{.turn = turn,
                .grad = std::exchange(grad, Tensor()),
                .sum = bucket.reduced};
  EISBACH_RETURN_IF_ERROR(Pack(travel));
  EISBACH_RETURN_IF_ERROR(ArriveUntil(kMostTravels - 1));
  EISBACH_RETURN_IF_ERROR(WaitForCompute());
  EISBACH_RETURN_IF_ERROR(Send(travel));
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
  } else if (!travel.turn.first) {
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

absl::Status ShardReducer::ArriveUntil(size_t most) {
  while (travels_.size() > most) {
    const Travel travel = std::move(travels_.front());
    travels_.pop_front();
    EISBACH_RETURN_IF_ERROR(ExposeWait(travel.arrived));
    EISBACH_RETURN_IF_ERROR(Add(travel));
  }
  return absl::OkStatus();
}

absl::Status ShardReducer::Add(const Travel& travel) {
  const Tensor& reduced = buffer_.buckets()[travel.turn.bucket].reduced;
  if (wire_ != DType::kF32) {
    EISBACH_RETURN_IF_ERROR(AddEach(travel));
  } else if (!travel.turn.first) {
    EISBACH_RETURN_IF_ERROR(ops::AddInPlace(reduced, travel.sum, compute_));
  }
  if (!travel.turn.last || replicas_ == nullptr) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(Event added, compute_.Record());
  EISBACH_RETURN_IF_ERROR(stream_->Wait(added));
  return replicas_->AllReduce(reduced, comm::ReduceOp::kSum, *stream_);
}

absl::Status ShardReducer::AddEach(const Travel& travel) {
  const Tensor& reduced = buffer_.buckets()[travel.turn.bucket].reduced;
  const int64_t part = reduced.elements();
  for (int rank = 0; rank < group_.size(); ++rank) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor theirs,
                             travel.sum.Narrow(0, rank * part, part));
    if (travel.turn.first && rank == 0) {
      EISBACH_RETURN_IF_ERROR(ops::Copy(theirs, reduced, compute_));
      continue;
    }
    EISBACH_ASSIGN_OR_RETURN(const Tensor wide,
                             ops::Cast(theirs, DType::kF32, compute_));
    EISBACH_RETURN_IF_ERROR(ops::AddInPlace(reduced, wide, compute_));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
