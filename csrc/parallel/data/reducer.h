#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/data/gradient_sum.h"
#include "tensor/flat_buffer.h"

namespace eisbach::parallel {

// Sums the gradients of a stage's buckets over the data group while backward
// goes on. A bucket starts when each of its parameters has had uses x
// micro-batches contributions; buckets start strictly in index order, so that
// all ranks call the collectives in one order whatever their backward does.
// Where buckets are divided a rank gets the sum of its own part alone: a
// reduce-scatter, of the same bits.
class GradientReducer final : public GradientSum {
 public:
  // Becomes the sink of all of `buffer`'s parameters; the frozen ones send
  // nothing. `buffer` and `data`
  // outlive it; backward must run on `compute`. Ranks of `data` divide buckets,
  // where anybody does. `replicas`: those that see other samples and have the
  // same part, over which it is then summed; null: none.
  static absl::StatusOr<std::unique_ptr<GradientReducer>> Make(
      FlatBuffer& buffer, comm::Communicator& data, const ParameterUses& uses,
      Stream& compute, comm::Communicator* replicas = nullptr);
  ~GradientReducer() override;

  absl::Status BeginStep(int micro_batches) override;

  // A contribution that comes after its bucket's reduction has started is an
  // error: the counts given to Make are wrong.
  absl::Status OnGradient(Parameter& parameter) override;

  absl::Status Finish() override;

  double exposed_seconds() const override { return exposed_seconds_; }

 private:
  struct BucketState {
    int open = 0;  // parameters that await contributions
    bool started = false;
  };
  struct ParameterState {
    size_t bucket;
    int uses;
    int expected = 0;  // contributions still to come in this step
  };

  GradientReducer(FlatBuffer& buffer, comm::Communicator& data,
                  comm::Communicator* replicas, Stream& compute)
      : buffer_(buffer), data_(data), replicas_(replicas), compute_(compute) {}

  absl::Status StartReady();
  absl::Status Start(size_t bucket);
  absl::Status Reduce(const FlatBucket& bucket);

  FlatBuffer& buffer_;
  comm::Communicator& data_;
  comm::Communicator* replicas_;
  Stream& compute_;
  std::unique_ptr<Stream> stream_;  // null in a group of one
  absl::flat_hash_map<const Parameter*, ParameterState> parameters_;
  std::vector<BucketState> buckets_;
  size_t next_ = 0;  // the bucket that starts next
  double exposed_seconds_ = 0;
};

}  // namespace eisbach::parallel
