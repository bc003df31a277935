#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "device/event.h"
#include "optim/optimizer.h"
#include "parallel/context.h"
#include "tensor/flat_buffer.h"

namespace eisbach::train {

// Finds ranks whose weights or optimizer state are not those of their replicas:
// data and context ranks hold the same bits of all, tensor ranks of what they
// do not divide. Each parameter has a fingerprint (ops/fingerprint.h) of its
// master, its rounded weights and each state of the optimizer.
class Replicas {
 public:
  // What is fingerprinted lies where it is now. `context` outlives it.
  static absl::StatusOr<std::unique_ptr<Replicas>> Make(
      const std::vector<Parameter*>& parameters, FlatBuffer& buffer,
      const optim::Optimizer& optimizer,
      const parallel::ParallelContext& context);

  // Puts the fingerprints after `step`, and those of the replicas, on their way
  // to the host. Waits for nothing; at most ResultQueue::kCapacity may be on
  // their way. Without replicas, with all of them divided (ZeRO 3), and on a
  // meta device there is nothing to begin. Collective.
  absl::Status Begin(int64_t step);
  // Whether those after `step` are the next on their way.
  bool begun(int64_t step) const;
  // Waits for them and for all ranks, which find the same. Aborted where bits
  // differ: names the ranks with their hosts, and the first tensor. The
  // majority is right; where there is none all are named. FailedPrecondition
  // where none were begun. Collective.
  absl::Status End();
  // Forgets those that are on their way.
  void Forget() { waiting_.clear(); }

  // The last step after which all were equal; 0 before.
  int64_t equal_at() const { return equal_at_; }
  // Whether End has found a difference.
  bool differ() const { return differ_; }

 private:
  struct Item {
    std::string what;  // "the optimizer state m of blocks.0.mlp.up.weight"
    Tensor values;
    bool whole;  // on each tensor rank
  };
  // The ranks that hold the same, and their fingerprints.
  struct Group {
    comm::Communicator* ranks;
    Axis axis;
    Tensor gathered;  // i64 [ranks x items]
  };
  struct Waiting {
    int64_t step;
    int64_t* values;  // of all groups
    Event copied;
  };
  // What one rank has found among its groups.
  struct Finding {
    std::vector<int> wrong;  // in the world; empty: all is well
    std::vector<int> others;
    bool majority = false;
    std::string what;
  };

  explicit Replicas(const parallel::ParallelContext& context)
      : context_(context) {}

  Finding Find(const int64_t* values) const;
  std::vector<int> WorldRanks(const Group& group) const;

  const parallel::ParallelContext& context_;
  std::vector<Item> items_;
  std::vector<Group> groups_;
  Tensor fingerprints_;           // i64 [items]
  std::shared_ptr<void> memory_;  // of the host
  int64_t slot_values_ = 0;
  int next_slot_ = 0;
  std::deque<Waiting> waiting_;
  int64_t equal_at_ = 0;
  bool differ_ = false;
};

}  // namespace eisbach::train
