#pragma once

#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/data/divided_weights.h"
#include "tensor/flat_buffer.h"

namespace eisbach::parallel {

// Gathers buckets whose weights are whole on every rank and updated in parts
// (ZeRO 1 and 2), from the last, which forward uses first, to the first. Each
// is waited for when it is used, so the others travel behind forward.
class WeightGather final : public DividedWeights {
 public:
  // Becomes the source of the parameters of `buffer`, which is divided over
  // `group`; both outlive it, as does `compute`, which uses the weights.
  static absl::StatusOr<std::unique_ptr<WeightGather>> Make(
      FlatBuffer& buffer, comm::Communicator& group, Stream& compute);
  ~WeightGather() override;

  absl::Status BeginPass() override { return absl::OkStatus(); }
  absl::Status Updated() override;
  absl::Status Wait() override;
  absl::Status BeforeUse(Parameter& parameter) override;

 private:
  struct Travel {
    bool under_way = false;
    Event arrived;
  };

  WeightGather(FlatBuffer& buffer, comm::Communicator& group, Stream& compute)
      : buffer_(buffer), group_(group), compute_(compute) {}

  absl::Status WaitFor(size_t bucket);

  FlatBuffer& buffer_;
  comm::Communicator& group_;
  Stream& compute_;
  std::unique_ptr<Stream> stream_;
  absl::flat_hash_map<const Parameter*, size_t> buckets_;
  std::vector<Travel> travels_;  // by bucket
};

}  // namespace eisbach::parallel
