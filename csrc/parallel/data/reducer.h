#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "tensor/flat_buffer.h"

namespace eisbach::parallel {

// How often one micro-batch adds to a parameter's gradient; 1 where absent. A
// weight that is both embedding and head of one stage is used twice.
using ParameterUses = absl::flat_hash_map<const Parameter*, int>;

// Sums the gradients of a stage's buckets over the data group while backward
// goes on. A bucket starts when each of its parameters has had uses x
// micro-batches contributions; buckets start strictly in index order, so that
// all ranks call the collectives in one order whatever their backward does.
//
//   reducer->BeginStep(micro_batches);
//   ... forward and backward of every micro-batch ...
//   reducer->Finish();  // gradients are summed
//
// Used by the rank's compute thread. In a group of one nothing is sent.
class GradientReducer final : public GradientSink {
 public:
  // Becomes the sink of all of `buffer`'s parameters; the frozen ones send
  // nothing. `buffer` and `data`
  // outlive it; backward must run on `compute`.
  static absl::StatusOr<std::unique_ptr<GradientReducer>> Make(
      FlatBuffer& buffer, comm::Communicator& data, const ParameterUses& uses,
      Stream& compute);
  ~GradientReducer() override;

  // Forgets the gradients and expects those of `micro_batches`.
  absl::Status BeginStep(int micro_batches);

  // A contribution that comes after its bucket's reduction has started is an
  // error: the counts given to Make are wrong.
  absl::Status OnGradient(Parameter& parameter) override;

  // Zeroes gradients that nothing was added to, starts what is left, and makes
  // the compute stream wait for all of it. Collective over the group.
  absl::Status Finish();

  // Seconds that the host waited in Finish for communication that backward did
  // not hide, over all steps. On a device with real streams the wait is the
  // device's, and this counts the calls alone.
  double exposed_seconds() const { return exposed_seconds_; }

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

  GradientReducer(FlatBuffer& buffer, comm::Communicator& data, Stream& compute)
      : buffer_(buffer), data_(data), compute_(compute) {}

  absl::Status StartReady();
  absl::Status Start(size_t bucket);

  FlatBuffer& buffer_;
  comm::Communicator& data_;
  Stream& compute_;
  std::unique_ptr<Stream> stream_;  // null in a group of one
  absl::flat_hash_map<const Parameter*, ParameterState> parameters_;
  std::vector<BucketState> buckets_;
  size_t next_ = 0;  // the bucket that starts next
  double exposed_seconds_ = 0;
};

}  // namespace eisbach::parallel
