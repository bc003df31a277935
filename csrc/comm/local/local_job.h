#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "comm/progress.h"

namespace eisbach::comm {

// What the rank threads of one RunLocalRanks share: who has failed, who has
// ended, and how to wake the others.
class LocalJob {
 public:
  explicit LocalJob(int size);

  int size() const { return static_cast<int>(progress_.size()); }
  const std::shared_ptr<Progress>& progress(int rank) const {
    return progress_[rank];
  }
  void Ring(int rank) { progress_[rank]->bell().Ring(); }

  // The first failure is the job's; it ends every wait.
  void Fail(int rank, absl::Status cause);
  bool failed() const { return failed_.load(); }
  absl::Status cause() const;  // OK while nobody has failed
  // What other ranks are told: "rank 3 failed: ...".
  absl::Status Report() const;

  // The rank takes part in nothing any more.
  void Depart(int rank);
  bool departed(int rank) const { return departed_[rank].load(); }

 private:
  void RingAll();

  std::vector<std::shared_ptr<Progress>> progress_;
  std::vector<std::atomic<bool>> departed_;
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  absl::Status cause_;
  int culprit_ = -1;
};

}  // namespace eisbach::comm
