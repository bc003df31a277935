#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/data/gradient_sum.h"

namespace eisbach::parallel {

// Sums gradients of which each rank keeps its part alone (ZeRO 2): a bucket's
// gradient has memory from the first contribution of a micro-batch until the
// ranks have summed it, which they do once in each micro-batch; then this
// rank's part is added to FlatBucket::reduced. So gradients of several
// micro-batches are summed over ranks before they are over micro-batches, the
// other way round than where they are kept whole.
//
// With a `wire` of bf16 gradients travel in it, each to the rank whose part it
// is, which adds them up in f32 in the order of ranks: half the bytes, rounded
// once, where a reduction in bf16 would round each partial sum.
class ShardReducer final : public GradientSum {
 public:
  // As GradientReducer::Make, of a buffer whose gradients are divided.
  static absl::StatusOr<std::unique_ptr<ShardReducer>> Make(
      FlatBuffer& buffer, comm::Communicator& group, const ParameterUses& uses,
      Stream& compute, comm::Communicator* replicas = nullptr,
      DType wire = DType::kF32);

  absl::Status BeforeGradient(Parameter& parameter) override;

  // Buckets whose gradients are on their way at once: more would hide more of
  // the way, and take more memory.
  static constexpr size_t kMostTravels = 2;

 private:
  // A turn that has started.
  struct Travel {
    Turn turn;
    Tensor grad;  // of all elements, in the type of the wire
    // Of this rank's part: the sum, which is FlatBucket::reduced in the first
    // round; where the wire is not f32, what each rank has of it.
    Tensor sum;
    Event arrived;
  };

  ShardReducer(FlatBuffer& buffer, comm::Communicator& group,
               comm::Communicator* replicas, DType wire, Stream& compute)
      : GradientSum(buffer, compute, Round::kMicroBatch),
        group_(group),
        replicas_(replicas),
        wire_(wire) {}

  absl::Status Reset() override;
  absl::Status Start(const Turn& turn) override;
  absl::Status Arrive() override { return ArriveUntil(0); }

  absl::Status Allocate(size_t bucket);
  // Until at most `most` are under way.
  absl::Status ArriveUntil(size_t most);
  // Makes the tensors of the way.
  absl::Status Pack(Travel& travel);
  absl::Status Send(const Travel& travel);
  absl::Status Add(const Travel& travel);
  absl::Status AddEach(const Travel& travel);

  comm::Communicator& group_;
  comm::Communicator* replicas_;
  const DType wire_;
  std::vector<Tensor> grads_;  // of buckets; undefined where nothing was added
  std::deque<Travel> travels_;
};

}  // namespace eisbach::parallel
