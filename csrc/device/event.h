#pragma once

#include <memory>
#include <utility>

#include "absl/status/status.h"

namespace eisbach {

// The completion of some work; backends derive from it.
class EventState {
 public:
  virtual ~EventState() = default;
  virtual bool Done() = 0;
  // Blocks the calling thread; returns the status of the work.
  virtual absl::Status Wait() = 0;
};

// A point in a stream. Copyable; a default-made event is already done.
class Event {
 public:
  Event() = default;
  explicit Event(std::shared_ptr<EventState> state)
      : state_(std::move(state)) {}

  bool Done() const { return state_ == nullptr || state_->Done(); }
  absl::Status Wait() const {
    return state_ == nullptr ? absl::OkStatus() : state_->Wait();
  }
  // For backends that know what is behind it; null when there is nothing.
  const std::shared_ptr<EventState>& state() const { return state_; }

 private:
  std::shared_ptr<EventState> state_;
};

}  // namespace eisbach
