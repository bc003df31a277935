#include "comm/nccl/watchdog.h"

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/nccl/nccl_group.h"
#include "core/log.h"

namespace eisbach::comm {
namespace {

constexpr std::chrono::milliseconds kInterval(50);
// How long NCCL may take to abort. After that the process ends, which is the
// only way left to end a wait for the GPU, and takes the job down.
constexpr std::chrono::seconds kAbortPatience(10);

}  // namespace

Watchdog::Watchdog(std::shared_ptr<cuda::CudaDevice> device)
    : device_(std::move(device)), thread_([this] { Run(); }) {}

Watchdog::~Watchdog() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watchdog::Watch(NcclGroup* group) {
  std::lock_guard<std::mutex> lock(groups_mutex_);
  groups_.push_back(group);
}

void Watchdog::Forget(NcclGroup* group) {
  std::lock_guard<std::mutex> lock(groups_mutex_);
  std::erase(groups_, group);
}

void Watchdog::CloseAll() {
  device_->EndCapturedWork();
  while (true) {
    NcclGroup* last = nullptr;
    {
      std::lock_guard<std::mutex> lock(groups_mutex_);
      if (groups_.empty()) return;
      last = groups_.back();
    }
    last->Close();  // which forgets it
  }
}

absl::Status Watchdog::failure() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return failure_;
}

absl::Status Watchdog::Fail(absl::Status cause) {
  absl::Status first;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok()) failure_ = std::move(cause);
    first = failure_;
  }
  device_->Fail(first);
  changed_.notify_all();
  return first;
}

void Watchdog::Abort(absl::Status cause) {
  Fail(std::move(cause)).IgnoreError();
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, kAbortPatience, [&] { return aborted_; });
}

void Watchdog::Run() {
  cudaSetDevice(device_->index());
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    changed_.wait_for(lock, kInterval, [&] {
      return stopping_ || (!failure_.ok() && !aborted_);
    });
    const bool abort = !failure_.ok() && !aborted_;
    if (stopping_ && !abort) return;
    lock.unlock();
    abort ? AbortAll() : PollAll();
    lock.lock();
    if (abort) aborted_ = true;
    if (abort) changed_.notify_all();
  }
}

void Watchdog::PollAll() {
  absl::Status found;
  {
    std::lock_guard<std::mutex> lock(groups_mutex_);
    for (NcclGroup* group : groups_) found.Update(group->Poll());
  }
  if (!found.ok()) Fail(std::move(found)).IgnoreError();
}

void Watchdog::AbortAll() {
  auto done = std::make_shared<std::promise<void>>();
  std::thread([ended = done->get_future(), cause = failure()]() mutable {
    if (ended.wait_for(kAbortPatience) == std::future_status::ready) return;
    LogLine(absl::StrCat("NCCL does not abort; this process ends. The cause: ",
                         cause.message()));
    std::_Exit(1);
  }).detach();
  device_->EndCapturedWork();
  std::lock_guard<std::mutex> lock(groups_mutex_);
  // Those that were split off use what the earlier ones own.
  for (auto it = groups_.rbegin(); it != groups_.rend(); ++it) (*it)->Abort();
  done->set_value();
}

}  // namespace eisbach::comm
