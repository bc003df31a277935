#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "comm/progress.h"

namespace eisbach::comm {

// The event of one task.
class TaskQueue::Completion final : public EventState {
 public:
  explicit Completion(std::shared_ptr<Progress> progress)
      : progress_(std::move(progress)) {}

  bool Done() override { return done_.load(std::memory_order_acquire); }
  absl::Status Wait() override {
    if (!Done()) progress_->WaitFor(*this);
    return status_;
  }
  void Finish(absl::Status status) {
    status_ = std::move(status);
    done_.store(true, std::memory_order_release);
  }

 private:
  const std::shared_ptr<Progress> progress_;
  absl::Status status_;
  std::atomic<bool> done_{false};
};

}  // namespace eisbach::comm
