#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "comm/progress.h"

namespace eisbach::comm {

// The event of one task. The time that a thread waits for it is communication
// that nothing hides: it is traced, by `label`. Who waits keeps the queue.
class TaskQueue::Completion final : public EventState {
 public:
  Completion(std::shared_ptr<Progress> progress, Tracer& tracer,
             const SpanLabel& label, const CallMark& mark)
      : progress_(std::move(progress)),
        tracer_(tracer),
        label_(label),
        mark_(mark) {}

  bool Done() override { return done_.load(std::memory_order_acquire); }
  absl::Status Wait() override {
    if (!Done()) {
      const TraceSpan span(tracer_, label_);
      mark_.Waited(true);
      progress_->WaitFor(*this);
      mark_.Waited(false);
    }
    return status_;
  }
  void Finish(absl::Status status) {
    status_ = std::move(status);
    done_.store(true, std::memory_order_release);
  }

 private:
  const std::shared_ptr<Progress> progress_;
  Tracer& tracer_;
  const SpanLabel label_;
  const CallMark mark_;
  absl::Status status_;
  std::atomic<bool> done_{false};
};

}  // namespace eisbach::comm
