#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/data/gradient_sum.h"
#include "tensor/flat_buffer.h"

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
//
// Buckets start in the order of their index, those of a micro-batch before
// those of the next.
class ShardReducer final : public GradientSum {
 public:
  // As GradientReducer::Make, of a buffer whose gradients are divided.
  static absl::StatusOr<std::unique_ptr<ShardReducer>> Make(
      FlatBuffer& buffer, comm::Communicator& group, const ParameterUses& uses,
      Stream& compute, comm::Communicator* replicas = nullptr,
      DType wire = DType::kF32);
  ~ShardReducer() override;

  absl::Status BeginStep(int micro_batches) override;
  absl::Status BeforeGradient(Parameter& parameter) override;
  absl::Status OnGradient(Parameter& parameter) override;
  absl::Status Finish() override;

  double exposed_seconds() const override { return exposed_seconds_; }

  // Buckets whose gradients are on their way at once: more would hide more of
  // the way, and take more memory.
  static constexpr size_t kMostTravels = 2;

 private:
  struct BucketState {
    int open = 0;    // parameters that await contributions of the next round
    int rounds = 0;  // started; one a micro-batch
    Tensor grad;     // undefined where nothing was added since
  };
  struct ParameterState {
    size_t bucket;
    int uses;
    int given = 0;  // contributions of this step
  };
  // A round of a bucket that has started.
  struct Travel {
    size_t bucket;
    Tensor grad;  // of all elements, in the type of the wire
    // Of this rank's part: the sum, which is FlatBucket::reduced in the first
    // round; where the wire is not f32, what each rank has of it.
    Tensor sum;
    bool first;
    bool last = false;
    Event arrived;
  };

  ShardReducer(FlatBuffer& buffer, comm::Communicator& group,
               comm::Communicator* replicas, DType wire, Stream& compute)
      : buffer_(buffer),
        group_(group),
        replicas_(replicas),
        wire_(wire),
        compute_(compute) {}

  void CountOpen(size_t bucket);
  absl::Status Allocate(size_t index);
  absl::Status StartReady();
  absl::Status StartNext();
  absl::Status Start(size_t bucket);
  // Until at most `most` are under way.
  absl::Status Arrive(size_t most);
  // Makes the tensors of the way.
  absl::Status Pack(Travel& travel);
  absl::Status Send(const Travel& travel);
  absl::Status Add(const Travel& travel);
  absl::Status AddEach(const Travel& travel);
  absl::Status WaitFor(const Event& event);
  bool done() const { return next_round_ == micro_batches_; }

  FlatBuffer& buffer_;
  comm::Communicator& group_;
  comm::Communicator* replicas_;
  const DType wire_;
  Stream& compute_;
  std::unique_ptr<Stream> stream_;
  absl::flat_hash_map<const Parameter*, ParameterState> parameters_;
  std::vector<BucketState> buckets_;
  std::deque<Travel> travels_;
  int micro_batches_ = 0;
  int next_round_ = 0;
  size_t next_ = 0;  // the bucket that starts next
  double exposed_seconds_ = 0;
};

}  // namespace eisbach::parallel
