#pragma once

#include <sys/types.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

// Keeps an object to one thread at a time, and to the process that made it: a
// second thread gets an error in words instead of broken state, a fork one
// instead of a wait for threads that it does not have.
class OneThread {
 public:
  // Lets go when it is destroyed.
  class Use {
   public:
    explicit Use(OneThread* held) : held_(held) {}
    Use(Use&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    Use& operator=(Use&&) = delete;
    ~Use() {
      if (held_ != nullptr) held_->user_.store({}, std::memory_order_release);
    }

   private:
    OneThread* held_;  // null: an outer use of the same thread lets go
  };

  // `what` begins messages: "Engine".
  explicit OneThread(absl::string_view what);

  // FailedPrecondition when another thread has a use, or after a fork.
  absl::StatusOr<Use> Enter();
  // The latter alone.
  absl::Status CheckProcess() const;

 private:
  const std::string what_;
  const pid_t maker_;
  std::atomic<std::thread::id> user_;
};

}  // namespace eisbach
