#pragma once

#include <atomic>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "comm/communicator.h"
#include "comm/local/local_job.h"

namespace eisbach::comm {

// What a rank shows the others of one collective call.
struct LocalCall {
  CallShape shape;
  const char* in = nullptr;
  char* out = nullptr;
  absl::Span<const int64_t> send_counts;
  int color = 0;
  int key = 0;
  // The input is copied into the group, so nobody waits for its readers.
  bool eager = false;
};

// A tensor on its way from one rank to another.
struct LocalMessage {
  const char* data;
  int64_t bytes;
  DType dtype;
  std::atomic<bool> taken{false};
};

// The meeting place of one communicator's ranks.
//
// The k-th collective of every rank meets in slot k % 2: a rank cannot post
// call k + 2 before everyone has come to call k + 1 and so has left call k.
class LocalGroup {
 public:
  LocalGroup(std::shared_ptr<LocalJob> job, std::vector<int> world_ranks);

  int size() const { return static_cast<int>(world_ranks_.size()); }
  int world_rank(int rank) const { return world_ranks_[rank]; }
  LocalJob& job() { return *job_; }

  // Shows `call`, the `index`-th collective of `rank`.
  void Post(int rank, int64_t index, const LocalCall& call);
  // Whether everyone has posted call `index`. Until then an error when
  // somebody will never come.
  absl::StatusOr<bool> AllPosted(int64_t index);
  const std::vector<LocalCall>& calls(int64_t index) const {
    return slots_[index % 2].calls;
  }
  void Leave(int rank, int64_t index);
  bool AllLeft(int64_t index) const;

  void Send(int from, int to, std::shared_ptr<LocalMessage> message);
  // Null when nothing has come.
  std::shared_ptr<LocalMessage> Receive(int from, int to);
  void Ring(int rank) { job_->Ring(world_ranks_[rank]); }
  void RingPeers(int rank);

  // The group of `members` (ranks of this one, in their new order) that call
  // `index` makes; every member gets the same.
  std::shared_ptr<LocalGroup> Subgroup(int64_t index, int color,
                                       const std::vector<int>& members);

  // A failed group's calls end with its failure on every rank.
  void Fail(absl::Status cause);
  bool failed() const { return failed_.load() || job_->failed(); }
  absl::Status Failure() const;

  // Memory of other ranks may be touched between StartReading, if it says
  // true, and StopReading. After a failure AwaitReaders() returns when nobody
  // reads any more, so that a rank may let go of its memory.
  bool StartReading();
  void StopReading() { readers_.fetch_sub(1); }
  void AwaitReaders() const;

 private:
  struct Slot {
    std::vector<LocalCall> calls;
    std::vector<std::unique_ptr<char[]>> eager;
    std::atomic<int64_t> posted{0};  // over all uses of the slot
    std::atomic<int64_t> left{0};
  };
  struct Channel {
    std::mutex mutex;
    std::deque<std::shared_ptr<LocalMessage>> messages;
  };
  struct Birth {
    std::shared_ptr<LocalGroup> group;
    int remaining;
  };

  // How many posts the slot has had once everyone has posted call `index`.
  int64_t Target(int64_t index) const { return (index / 2 + 1) * size(); }

  const std::shared_ptr<LocalJob> job_;
  const std::vector<int> world_ranks_;
  Slot slots_[2];
  std::vector<std::atomic<int64_t>> posted_calls_;  // by rank
  std::vector<Channel> channels_;                   // [from * size + to]
  std::atomic<int> readers_{0};
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  absl::Status cause_;
  std::map<std::pair<int64_t, int>, Birth> births_;
};

// Largest input that is copied into the group.
inline constexpr int64_t kLocalEagerBytes = 32 << 10;

}  // namespace eisbach::comm
