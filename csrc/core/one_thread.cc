#include "core/one_thread.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach {

OneThread::OneThread(absl::string_view what) : what_(what), maker_(getpid()) {}

absl::StatusOr<OneThread::Use> OneThread::Enter() {
  EISBACH_RETURN_IF_ERROR(CheckProcess());
  const std::thread::id self = std::this_thread::get_id();
  std::thread::id user;
  if (user_.compare_exchange_strong(user, self, std::memory_order_acquire)) {
    return Use(this);
  }
  if (user == self) return Use(nullptr);
  return absl::FailedPreconditionError(
      absl::StrCat(what_,
                   ": another thread is in a call of it; let one thread "
                   "make them all, or wait for one another"));
}

absl::Status OneThread::CheckProcess() const {
  if (getpid() == maker_) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      what_, ": process ", getpid(), " is a fork of ", maker_,
      ", which made it, and has none of its threads; fork before eisbach.init, "
      "or start processes by `spawn`"));
}

}  // namespace eisbach
