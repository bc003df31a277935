#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "device/event.h"

namespace eisbach {

class Device;
class Storage;

// A point in time of a stream that runs behind the host.
class Timestamp {
 public:
  virtual ~Timestamp() = default;
  // When the stream passed it, on the clock of Tracer::Now(); waits until it
  // has.
  virtual absl::StatusOr<int64_t> Nanoseconds() = 0;
};

// An ordered queue of work on a device. Every op and collective takes one.
//
// On cpu the compute stream runs inline: an op has finished when its call
// returns. Other cpu streams order collectives, which a progress thread drives
// behind the compute stream.
class Stream {
 public:
  explicit Stream(Device& device) : device_(device) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device& device() const { return device_; }

  // An event that is done when all work given to the stream so far is done.
  virtual absl::StatusOr<Event> Record() = 0;
  // Work given to the stream from now on starts after `event`.
  virtual absl::Status Wait(const Event& event) = 0;
  // Blocks the host until the stream is idle; returns its first error.
  virtual absl::Status Synchronize() = 0;

  // Keeps memory alive until the work that the stream has now is done, for
  // callers that use it elsewhere than on the compute stream, in whose order
  // memory is handed on. Never blocks. Nothing to do where copies have
  // finished when their call returns (cpu).
  virtual absl::Status KeepUntilPassed(
      std::vector<std::shared_ptr<Storage>> /*storages*/) {
    return absl::OkStatus();
  }

  // When all work given to the stream so far is done; null where that cannot be
  // told later. Not while work is captured.
  virtual absl::StatusOr<std::shared_ptr<Timestamp>> Stamp() { return nullptr; }

  // Whether work has finished when the call that gives it returns.
  virtual bool runs_inline() const { return false; }

  // For those who run work elsewhere on behalf of the stream (communicators):
  // what that work must wait for, and the event that stands for it.
  virtual std::vector<Event> Dependencies() = 0;
  virtual absl::Status Append(Event completion) = 0;

 private:
  Device& device_;
};

}  // namespace eisbach
