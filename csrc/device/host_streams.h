#pragma once

#include <vector>

#include "device/stream.h"

namespace eisbach {

// A stream whose work is done when the call that gives it returns: cpu's
// compute stream, and every stream of meta.
class InlineStream : public Stream {
 public:
  using Stream::Stream;
  absl::StatusOr<Event> Record() override { return Event(); }
  absl::Status Wait(const Event& event) override { return event.Wait(); }
  absl::Status Synchronize() override { return absl::OkStatus(); }
  bool runs_inline() const override { return true; }
  std::vector<Event> Dependencies() override { return {}; }
  absl::Status Append(Event completion) override { return completion.Wait(); }
};

// A stream that orders work which others drive (collectives on cpu). Used by
// one thread.
class DeferredStream final : public Stream {
 public:
  using Stream::Stream;
  ~DeferredStream() override;
  absl::StatusOr<Event> Record() override;
  absl::Status Wait(const Event& event) override;
  absl::Status Synchronize() override;
  std::vector<Event> Dependencies() override;
  absl::Status Append(Event completion) override;

 private:
  // The stream's order is a chain, so its latest event stands for all earlier.
  std::vector<Event> pending_;
};

}  // namespace eisbach
