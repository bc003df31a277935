#pragma once

#include <cuda_runtime_api.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <typeindex>
#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "device/cuda/cuda_step_clock.h"
#include "device/cuda/cuda_stream.h"
#include "device/cuda/memory_pool.h"
#include "device/device.h"

namespace eisbach::cuda {

class CudaGraph;

// One GPU. Ops run on its compute stream, further streams are of high priority
// (communication). Memory comes from a caching allocator in the order of the
// compute stream: whoever uses a tensor on another stream keeps it alive until
// that stream is done with it.
class CudaDevice final : public Device {
 public:
  // GPU number `index` of those that the process sees, current for the calling
  // thread from now on.
  static absl::StatusOr<std::shared_ptr<CudaDevice>> Make(int index);

  Stream& compute_stream() override { return *compute_; }
  absl::StatusOr<std::unique_ptr<Stream>> NewStream() override;

  absl::StatusOr<std::shared_ptr<Storage>> Allocate(size_t bytes) override;
  absl::StatusOr<std::shared_ptr<Storage>> AllocateShared(
      size_t bytes) override;
  void SetSharedSource(std::unique_ptr<MemorySource> source) override;
  absl::StatusOr<std::shared_ptr<void>> AllocateHost(size_t bytes) override;
  AllocatorStats memory() const override;
  void ResetPeakMemory() override;
  void TrimMemory() override;

  absl::Status CopyToDevice(void* device, const void* host, size_t bytes,
                            Stream& stream) override;
  absl::Status CopyToHost(void* host, const void* device, size_t bytes,
                          Stream& stream) override;
  absl::Status CopyOnDevice(void* to, const void* from, size_t bytes,
                            Stream& stream) override;
  absl::Status SetZero(void* data, size_t bytes, Stream& stream) override;

  CudaStepClock& step_clock() override { return step_clock_; }

  // Not where every tensor is an allocation of its own: memory cannot be taken
  // from the system inside a capture without care, nor given back at all.
  bool captures_work() const override;
  absl::StatusOr<std::unique_ptr<CapturedWork>> NewCapturedWork() override;
  // Ends all captured work: NCCL does not end a communicator that a graph
  // calls. Any thread.
  void EndCapturedWork();

  // For CudaGraph. Between Enter and Leave what the calling thread allocates
  // comes from `pool`.
  std::shared_ptr<MemoryPool> NewPool();
  void EnterBody(std::shared_ptr<MemoryPool> pool, bool capturing);
  void LeaveBody();
  // Whether the calling thread is inside a body of captured work.
  bool in_body() const;
  // Makes the compute stream come after every stream that keeps memory or
  // takes part in the capture of this thread.
  absl::Status JoinStreams();
  void Add(CudaGraph* graph);
  void Forget(CudaGraph* graph);
  void Add(CudaStream* stream);
  void Forget(CudaStream* stream);

  // What a library wants once for each GPU (a handle, a cache of plans): made
  // by T::Make(CudaDevice&) at the first call, ended with the device.
  template <typename T>
  absl::StatusOr<T*> Attached();

  // What this device computes can no longer be trusted (a communicator was
  // aborted): whoever waits for its streams and events gets `cause` from now
  // on. The first cause stays. Any thread.
  void Fail(absl::Status cause);
  absl::Status failure() const;

  int index() const { return index_; }
  const std::string& name() const { return name_; }
  int multiprocessors() const { return multiprocessors_; }
  // Ten times the major compute capability plus the minor one: 80, 90, 100.
  int architecture() const { return architecture_; }

 private:
  explicit CudaDevice(int index);
  absl::Status Init();
  absl::StatusOr<std::shared_ptr<Storage>> AllocateFrom(Allocator& allocator,
                                                        size_t bytes);
  absl::StatusOr<std::shared_ptr<Storage>> AllocateFrom(
      std::shared_ptr<MemoryPool> pool, size_t bytes);
  std::vector<std::shared_ptr<MemoryPool>> LivingPools() const;
  // Host memory is not there when a graph is replayed.
  absl::Status CheckHostCopy() const;

  const int index_;
  std::string name_;
  int multiprocessors_ = 0;
  int architecture_ = 0;
  Allocator allocator_;
  CudaStepClock step_clock_{allocator_, *this};
  std::unique_ptr<Allocator> shared_;  // null: none but the above
  mutable std::mutex parts_mutex_;     // guards the next three
  std::set<CudaStream*> streams_;
  std::set<CudaGraph*> graphs_;
  std::vector<std::weak_ptr<MemoryPool>> pools_;
  // Of the body that runs: which thread runs it, and for that thread the rest.
  std::atomic<std::thread::id> body_thread_{};
  std::shared_ptr<MemoryPool> body_pool_;
  bool capturing_ = false;
  std::unique_ptr<CudaStream> compute_;
  std::atomic<bool> failed_{false};
  mutable std::mutex failure_mutex_;
  absl::Status failure_;
  std::mutex attached_mutex_;
  std::map<std::type_index, std::shared_ptr<void>> attached_;
};

template <typename T>
absl::StatusOr<T*> CudaDevice::Attached() {
  std::lock_guard<std::mutex> lock(attached_mutex_);
  std::shared_ptr<void>& place = attached_[typeid(T)];
  if (place == nullptr) {
    EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<T> made, T::Make(*this));
    place = std::shared_ptr<T>(std::move(made));
  }
  return static_cast<T*>(place.get());
}

// The device of `stream`, which is one of a cuda device's.
CudaDevice& DeviceOf(const Stream& stream);

}  // namespace eisbach::cuda
