#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "device/cuda/cuda_device.h"

namespace eisbach::comm {

class NcclGroup;

// Watches the communicators of a process. A collective whose peer is gone
// never ends on the GPU: NCCL's own threads notice, and somebody has to ask
// them and to abort. One failure ends all communicators of the process, since
// a rank that has left one of them leaves its peers in the others waiting.
class Watchdog {
 public:
  explicit Watchdog(std::shared_ptr<cuda::CudaDevice> device);
  ~Watchdog();

  void Watch(NcclGroup* group);
  void Forget(NcclGroup* group);

  // Closes those that are left, the last one first. Collective.
  void CloseAll();

  // OK until the first failure.
  absl::Status failure() const;
  // Fails the device and has all communicators aborted, on the watching
  // thread. Returns the first failure, which this one is or is not.
  absl::Status Fail(absl::Status cause);
  // The same, and waits for the abort for some seconds.
  void Abort(absl::Status cause);

 private:
  void Run();
  void PollAll();
  void AbortAll();

  const std::shared_ptr<cuda::CudaDevice> device_;
  std::mutex groups_mutex_;
  std::vector<NcclGroup*> groups_;  // in the order in which they were made
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  absl::Status failure_;
  bool aborted_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace eisbach::comm
