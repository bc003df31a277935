#include "parallel/data/reducer.h"

#include "core/status_macros.h"

namespace eisbach::parallel {

absl::StatusOr<std::unique_ptr<GradientReducer>> GradientReducer::Make(
    FlatBuffer& buffer, comm::Communicator& data, const ParameterUses& uses,
    Stream& compute, comm::Communicator* replicas) {
  std::unique_ptr<GradientReducer> reducer(
      new GradientReducer(buffer, data, replicas, compute));
  EISBACH_RETURN_IF_ERROR(reducer->Attach(uses, data.size() > 1));
  return reducer;
}

absl::Status GradientReducer::Start(const Turn& turn) {
  constexpr comm::ReduceOp kSum = comm::ReduceOp::kSum;
  const FlatBucket& bucket = buffer_.buckets()[turn.bucket];
  EISBACH_RETURN_IF_ERROR(ZeroUnwritten(bucket));
  if (stream_ == nullptr) return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(WaitForCompute());
  if (bucket.own.elements == bucket.elements) {
    return data_.AllReduce(bucket.grad, kSum, *stream_);
  }
  EISBACH_RETURN_IF_ERROR(
      data_.ReduceScatter(bucket.grad, bucket.reduced, kSum, *stream_));
  return replicas_ == nullptr
             ? absl::OkStatus()
             : replicas_->AllReduce(bucket.reduced, kSum, *stream_);
}

}  // namespace eisbach::parallel
