#include "device/host_streams.h"

#include "core/status_macros.h"

namespace eisbach {
namespace {

class AllOf final : public EventState {
 public:
  explicit AllOf(std::vector<Event> events) : events_(std::move(events)) {}
  bool Done() override {
    for (const Event& event : events_) {
      if (!event.Done()) return false;
    }
    return true;
  }
  absl::Status Wait() override {
    absl::Status first;
    for (const Event& event : events_) first.Update(event.Wait());
    return first;
  }

 private:
  std::vector<Event> events_;
};

}  // namespace

DeferredStream::~DeferredStream() { Synchronize().IgnoreError(); }

absl::StatusOr<Event> DeferredStream::Record() {
  if (pending_.empty()) return Event();
  if (pending_.size() == 1) return pending_[0];
  return Event(std::make_shared<AllOf>(pending_));
}

absl::Status DeferredStream::Wait(const Event& event) {
  if (!event.Done()) pending_.push_back(event);
  return absl::OkStatus();
}

absl::Status DeferredStream::Synchronize() {
  absl::Status first;
  for (const Event& event : pending_) first.Update(event.Wait());
  pending_.clear();
  return first;
}

std::vector<Event> DeferredStream::Dependencies() { return pending_; }

absl::Status DeferredStream::Append(Event completion) {
  pending_.assign(1, std::move(completion));
  return absl::OkStatus();
}

}  // namespace eisbach
