#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "tensor/flat_buffer.h"
#include "tensor/parameter.h"

namespace eisbach::parallel {

// How often one micro-batch adds to a parameter's gradient; 1 where absent. A
// weight that is both embedding and head of one stage is used twice.
using ParameterUses = absl::flat_hash_map<const Parameter*, int>;

// Sums the gradients of a stage's buckets over the ranks that see other
// samples, while backward goes on.
//
//   sum->BeginStep(micro_batches);
//   ... forward and backward of every micro-batch ...
//   sum->Finish();  // gradients are summed
//
// Counts contributions: a bucket starts when each of its parameters has had
// those of a round, which is a step or a micro-batch. Buckets start strictly in
// the order of their index, those of a round before those of the next, so that
// all ranks call the collectives in one order whatever their backward does.
//
// Used by the rank's compute thread. In a group of one nothing is sent.
class GradientSum : public GradientSink {
 public:
  ~GradientSum() override;

  // Forgets the gradients and expects those of `micro_batches`.
  absl::Status BeginStep(int micro_batches);

  // A contribution beyond those expected is an error: the uses are wrong.
  absl::Status OnGradient(Parameter& parameter) final;

  // Zeroes gradients that nothing was added to, starts what is left, and makes
  // the compute stream wait for all of it. Collective over the group.
  absl::Status Finish();

  // Seconds that the host waited for communication that backward did not hide,
  // over all steps. On a device with real streams the wait is the device's, and
  // this counts the calls alone.
  double exposed_seconds() const { return exposed_seconds_; }

 protected:
  enum class Round { kStep, kMicroBatch };

  // `buffer` outlives it; backward must run on `compute`.
  GradientSum(FlatBuffer& buffer, Stream& compute, Round round)
      : buffer_(buffer), compute_(compute), round_(round) {}

  // Becomes the sink of all of the buffer's parameters; the frozen ones send
  // nothing. `sends`: makes a stream for what travels.
  absl::Status Attach(const ParameterUses& uses, bool sends);

  // A round of a bucket.
  struct Turn {
    size_t bucket;
    bool first;  // of the step's
    bool last;
  };

  // Forgets what was under way.
  virtual absl::Status Reset() { return absl::OkStatus(); }
  // Sums a bucket; parameters that do not accumulate were given nothing.
  virtual absl::Status Start(const Turn& turn) = 0;
  // After the last turn of a step: deals with what is under way.
  virtual absl::Status Arrive() { return absl::OkStatus(); }

  size_t BucketOf(const Parameter& parameter) const {
    return parameters_.at(&parameter).bucket;
  }
  // Zeroes the gradients of a bucket to which nothing was added.
  absl::Status ZeroUnwritten(const FlatBucket& bucket);
  // The sums' stream waits for what compute has written.
  absl::Status WaitForCompute();
  // Compute waits, which is what backward did not hide.
  absl::Status ExposeWait(const Event& event);

  FlatBuffer& buffer_;
  Stream& compute_;
  std::unique_ptr<Stream> stream_;  // null where nothing is sent

 private:
  struct BucketState {
    int open = 0;    // parameters that await contributions of the next round
    int rounds = 0;  // started
  };
  struct ParameterState {
    size_t bucket;
    int uses;
    int given = 0;  // contributions of this step
  };

  // What a parameter has been given when `rounds` are over.
  int Due(const ParameterState& state, int rounds) const;
  void CountOpen(size_t bucket);
  absl::Status StartReady();
  absl::Status StartNext();
  // A stage whose parameters are all frozen has no buckets.
  bool done() const { return buckets_.empty() || next_round_ == rounds_; }

  const Round round_;
  absl::flat_hash_map<const Parameter*, ParameterState> parameters_;
  std::vector<BucketState> buckets_;
  int micro_batches_ = 0;
  int rounds_ = 0;      // of this step
  int next_round_ = 0;  // with next_: the turn that starts next
  size_t next_ = 0;
  double exposed_seconds_ = 0;
};

}  // namespace eisbach::parallel
