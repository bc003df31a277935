#include "comm/nccl/nccl_group.h"

#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "comm/nccl/nccl_status.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// For all ranks to come and to connect.
constexpr absl::Duration kInitPatience = absl::Minutes(10);
constexpr absl::Duration kClosePatience = absl::Seconds(30);

}  // namespace

NcclGroup::NcclGroup(std::string name, std::shared_ptr<Watchdog> watchdog)
    : name_(std::move(name)), watchdog_(std::move(watchdog)) {}

NcclGroup::~NcclGroup() { Close(); }

ncclConfig_t NcclGroup::Config() const {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.splitShare = 1;
  config.commName = name_.c_str();
  return config;
}

absl::Status NcclGroup::Init(int rank, int size,
                             std::vector<ncclUniqueId> ids) {
  rank_ = rank;
  size_ = size;
  ncclConfig_t config = Config();
  const ncclResult_t result =
      ids.size() == 1
          ? ncclCommInitRankConfig(&comm_, size, ids[0], rank, &config)
          : ncclCommInitRankScalable(&comm_, size, rank,
                                     static_cast<int>(ids.size()), ids.data(),
                                     &config);
  if (result != ncclSuccess && result != ncclInProgress) {
    return watchdog_->Fail(Named(result, "set_up", comm_));
  }
  watchdog_->Watch(this);
  return Settle("set_up", kInitPatience);
}

absl::Status NcclGroup::SplitFrom(NcclGroup& parent, int color, int key) {
  ncclConfig_t config = Config();
  // The handle is there when the parent has settled, not before.
  EISBACH_RETURN_IF_ERROR(parent.Call("split", [&](ncclComm_t comm) {
    return ncclCommSplit(comm, color < 0 ? NCCL_SPLIT_NOCOLOR : color, key,
                         &comm_, &config);
  }));
  if (comm_ == nullptr) return absl::OkStatus();
  watchdog_->Watch(this);
  EISBACH_RETURN_IF_ERROR(Settle("set_up", kInitPatience));
  return Call("set_up", [&](ncclComm_t comm) {
    const ncclResult_t result = ncclCommUserRank(comm, &rank_);
    return result != ncclSuccess ? result : ncclCommCount(comm, &size_);
  });
}

absl::Status NcclGroup::Named(ncclResult_t result, absl::string_view what,
                              ncclComm_t comm) const {
  return NcclStatus(result,
                    absl::StrCat(what, " on \"", name_, "\" (rank ", rank_,
                                 " of ", size_, ")"),
                    comm);
}

absl::Status NcclGroup::Settle(absl::string_view what,
                               absl::Duration patience) {
  const absl::Time begin = absl::Now();
  const absl::Time nearly = begin + absl::Milliseconds(1);
  const absl::Time deadline = begin + patience;
  while (true) {
    ncclResult_t state = ncclSuccess;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (comm_ == nullptr) return watchdog_->failure();
      const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
      if (asked != ncclSuccess) state = asked;
      if (state == ncclSuccess) return absl::OkStatus();
      if (state != ncclInProgress) {
        return watchdog_->Fail(Named(state, what, comm_));
      }
    }
    if (absl::Now() > deadline) {
      return watchdog_->Fail(absl::DeadlineExceededError(absl::StrCat(
          "NCCL: ", what, " on \"", name_, "\" (rank ", rank_, " of ", size_,
          ") is not over after ", absl::FormatDuration(patience))));
    }
    // Most calls are taken within some ten microseconds.
    if (absl::Now() < nearly) {
      std::this_thread::yield();
    } else {
      absl::SleepFor(absl::Microseconds(100));
    }
  }
}

absl::Status NcclGroup::Call(absl::string_view what,
                             absl::FunctionRef<ncclResult_t(ncclComm_t)> call) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    EISBACH_RETURN_IF_ERROR(watchdog_->failure());
    if (comm_ == nullptr) {
      return absl::FailedPreconditionError(absl::StrCat(
          what, " on \"", name_, "\": this communicator has ended"));
    }
    const ncclResult_t result = call(comm_);
    if (result == ncclSuccess) return absl::OkStatus();
    if (result != ncclInProgress) {
      return watchdog_->Fail(Named(result, what, comm_));
    }
  }
  // Peers may come much later, and then there is nothing wrong.
  return Settle(what, absl::InfiniteDuration());
}

absl::Status NcclGroup::Register(void* data, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (comm_ == nullptr || registered_.contains(data)) return absl::OkStatus();
  const ncclResult_t result =
      ncclCommRegister(comm_, data, bytes, &registered_[data]);
  if (result == ncclSuccess) return absl::OkStatus();
  registered_.erase(data);
  return watchdog_->Fail(Named(result, "register", comm_));
}

void NcclGroup::Deregister(void* data) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = registered_.find(data);
  if (found == registered_.end()) return;
  if (comm_ != nullptr) ncclCommDeregister(comm_, found->second);
  registered_.erase(found);
}

absl::Status NcclGroup::Poll() {
  in_flight_.Look();
  std::lock_guard<std::mutex> lock(mutex_);
  if (comm_ == nullptr) return absl::OkStatus();
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(comm_, &state);
  if (asked != ncclSuccess) state = asked;
  if (state == ncclSuccess || state == ncclInProgress) return absl::OkStatus();
  return Named(state, "a call", comm_);
}

void NcclGroup::Abort() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (ncclComm_t comm = std::exchange(comm_, nullptr)) ncclCommAbort(comm);
  registered_.clear();
}

void NcclGroup::Close() {
  bool settled = false;
  if (watchdog_->failure().ok()) {
    ncclResult_t result = ncclInvalidUsage;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (comm_ != nullptr) {
        for (auto& [data, handle] : registered_) {
          ncclCommDeregister(comm_, handle);
        }
        registered_.clear();
        result = ncclCommFinalize(comm_);
      }
    }
    settled = result == ncclSuccess || (result == ncclInProgress &&
                                        Settle("close", kClosePatience).ok());
  }
  watchdog_->Forget(this);
  std::lock_guard<std::mutex> lock(mutex_);
  if (ncclComm_t comm = std::exchange(comm_, nullptr)) {
    settled ? ncclCommDestroy(comm) : ncclCommAbort(comm);
  }
}

}  // namespace eisbach::comm
