#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/data/divided_weights.h"
#include "tensor/flat_buffer.h"

namespace eisbach::parallel {

// Weights of which each rank keeps its part alone (ZeRO 3). A bucket, or a
// block of what is frozen, is gathered when a layer uses it and given back when
// others have been used since: the one in use and the one before it are there,
// and `prefetch` more that come next, which travel behind the compute of those.
// What comes next is known from the pass before.
class WeightWindow final : public DividedWeights {
 public:
  // Becomes the source of all of `buffer`'s parameters, whose weights are
  // divided over `group`; both outlive it, as does `compute`, which uses them.
  static absl::StatusOr<std::unique_ptr<WeightWindow>> Make(
      FlatBuffer& buffer, comm::Communicator& group, int prefetch,
      Stream& compute);
  ~WeightWindow() override;

  absl::Status BeginPass() override;
  absl::Status Updated() override;
  absl::Status Wait() override;
  absl::Status BeforeUse(Parameter& parameter) override;

 private:
  // A bucket or block that is there.
  struct Resident {
    size_t unit;
    Tensor data;
    bool under_way = true;
    Event arrived;
  };

  WeightWindow(FlatBuffer& buffer, comm::Communicator& group, int prefetch,
               Stream& compute)
      : buffer_(buffer),
        group_(group),
        prefetch_(static_cast<size_t>(prefetch)),
        compute_(compute) {}

  // Makes the next use that of `unit`.
  absl::Status Advance(size_t unit);
  // The units that come next, each once, as many as are brought ahead.
  std::vector<size_t> Next() const;
  Resident* Find(size_t unit);
  absl::Status Gather(size_t unit);
  absl::Status WaitFor(Resident& resident);
  // Gives back what is there and neither in use nor next.
  absl::Status GiveBack(const std::vector<size_t>& next);
  absl::Status DropAll();
  absl::Status Drop(std::deque<Resident>::iterator resident);

  FlatBuffer& buffer_;
  comm::Communicator& group_;
  const size_t prefetch_;
  Stream& compute_;
  std::unique_ptr<Stream> stream_;
  std::vector<const FlatWeights*> units_;
  absl::flat_hash_map<const Parameter*, size_t> unit_of_;
  std::deque<Resident> residents_;
  // Units in the order of their use, in the pass before and in this one.
  std::vector<size_t> expected_, used_;
  bool as_expected_ = false;  // so far
};

}  // namespace eisbach::parallel
