#pragma once

#include <nccl.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "comm/nccl/in_flight.h"
#include "comm/nccl/watchdog.h"

namespace eisbach::comm {

// A communicator of NCCL and the name that errors of it carry. It does not
// block (config.blocking=0): NCCL may say "in progress" to any call, and the
// next one must wait for the end of that.
class NcclGroup {
 public:
  // A group of this process's rank to be made by Init or by SplitFrom.
  NcclGroup(std::string name, std::shared_ptr<Watchdog> watchdog);
  // Lets go of what is left.
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  // The group of all ranks; `ids` are those of RanksWithId, in rank order.
  absl::Status Init(int rank, int size, std::vector<ncclUniqueId> ids);
  // The members of `parent` that pass the same color, ordered by key; no group
  // (joined() is false) for a negative color. Collective over `parent`.
  absl::Status SplitFrom(NcclGroup& parent, int color, int key);

  bool joined() const { return size_ > 0; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::shared_ptr<Watchdog>& watchdog() const { return watchdog_; }

  // Runs `call` and returns when NCCL has put it on its stream. An error ends
  // all communicators (Watchdog::Fail) and is what every later call gives.
  // `what` names the call in errors.
  absl::Status Call(absl::string_view what,
                    absl::FunctionRef<ncclResult_t(ncclComm_t)> call);

  // The calls that the GPU may not have passed.
  InFlight& in_flight() { return in_flight_; }

  // Lets NCCL work on [data, data + bytes) without copies; once is enough.
  absl::Status Register(void* data, size_t bytes);
  void Deregister(void* data);

  // For the watchdog: an error that NCCL's threads have met.
  absl::Status Poll();
  void Abort();
  // Ends the communicator in agreement with its peers. Collective.
  void Close();

 private:
  // Waits until NCCL is done with the last call.
  absl::Status Settle(absl::string_view what, absl::Duration patience);
  absl::Status Named(ncclResult_t result, absl::string_view what,
                     ncclComm_t comm) const;
  ncclConfig_t Config() const;

  const std::string name_;
  const std::shared_ptr<Watchdog> watchdog_;
  int rank_ = 0;
  int size_ = 0;
  InFlight in_flight_;
  // Guards the following, and is never held while NCCL waits for peers.
  std::mutex mutex_;
  ncclComm_t comm_ = nullptr;
  std::map<void*, void*> registered_;  // handles by address
};

}  // namespace eisbach::comm
