#include "comm/local/local_job.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace eisbach::comm {

LocalJob::LocalJob(int size) : departed_(size) {
  for (int rank = 0; rank < size; ++rank) {
    progress_.push_back(std::make_shared<Progress>(rank, /*peers_ring=*/true));
  }
}

void LocalJob::Fail(int rank, absl::Status cause) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failed_) return;
    cause_ = std::move(cause);
    culprit_ = rank;
    failed_ = true;
  }
  RingAll();
}

absl::Status LocalJob::cause() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return cause_;
}

absl::Status LocalJob::Report() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return absl::AbortedError(
      absl::StrCat("rank ", culprit_, " failed: ", cause_.message()));
}

void LocalJob::Depart(int rank) {
  departed_[rank] = true;
  RingAll();
}

void LocalJob::RingAll() {
  for (int rank = 0; rank < size(); ++rank) Ring(rank);
}

}  // namespace eisbach::comm
