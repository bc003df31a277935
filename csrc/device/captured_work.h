#pragma once

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace eisbach {

// Work that a device does again by itself: captured once, then given to it in
// one call instead of thousands (a CUDA graph). A replay does what the captured
// calls would do, on the same addresses; what differs from time to time is read
// from device memory. Nothing of the host runs: neither the recorder nor the
// tracer hears of an op, and communicators count no call. A step clock that the
// device keeps by itself goes on.
//
// What a body allocates comes from memory that belongs to this object and is
// handed to nobody else while it lives, as replays write there. So a body keeps
// no tensor that is read after the next replay, and hands none out.
//
// Used by the thread that gives work to the compute stream. Where a body calls
// collectives all ranks of them call Run, Capture and Replay alike.
class CapturedWork {
 public:
  using Body = absl::FunctionRef<absl::Status()>;

  virtual ~CapturedWork() = default;

  // Runs `body` as if this object were not there, in its memory: before a
  // capture, so that everything that is made once has been made; and other
  // work that may use the memory between two replays.
  virtual absl::Status Run(Body body) = 0;

  // Runs `body` so that its work is kept instead of done; once. A call that
  // waits for the device or reaches host memory fails and is named.
  virtual absl::Status Capture(Body body) = 0;
  virtual bool captured() const = 0;

  // Gives the captured work to the compute stream. FailedPrecondition before
  // Capture, and when a communicator that it calls has ended.
  virtual absl::Status Replay() = 0;
};

}  // namespace eisbach
