#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "device/allocator.h"
#include "device/captured_work.h"
#include "device/recorder.h"
#include "device/step_clock.h"
#include "device/storage.h"
#include "device/stream.h"
#include "device/tracer.h"

namespace eisbach {

enum class DeviceType : uint8_t { kCpu, kCuda, kMeta };

inline constexpr int kNumDeviceTypes = 3;

absl::string_view Name(DeviceType type);

// One rank's compute device: its memory, its streams and who listens to it.
// Each rank has its own, also when several ranks are threads of one process.
class Device : public std::enable_shared_from_this<Device> {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  DeviceType type() const { return type_; }
  // The type whose program this runs, where that depends on it: its own, but
  // of a meta device that which is to be foretold.
  DeviceType stands_for() const { return stands_for_; }
  void set_stands_for(DeviceType type) { stands_for_ = type; }

  // The stream that ops run on unless told otherwise.
  virtual Stream& compute_stream() = 0;
  // A further stream, for communication or copies.
  virtual absl::StatusOr<std::unique_ptr<Stream>> NewStream() = 0;

  // Uninitialised memory; freed when the last owner lets go.
  virtual absl::StatusOr<std::shared_ptr<Storage>> Allocate(size_t bytes) = 0;
  // The same, where other ranks reach it in the quickest way there is, for
  // tensors that collectives work on again and again (gradient buckets). Plain
  // memory unless a communicator backend has said otherwise.
  virtual absl::StatusOr<std::shared_ptr<Storage>> AllocateShared(
      size_t bytes) {
    return Allocate(bytes);
  }
  // Tells where shared memory comes from (memory that processes of a host
  // share, memory that a fabric has registered); at most once, by the backend
  // that connects this rank, before anything is allocated there. Its bytes
  // count in memory(). Ignored by a device that has no use for it.
  virtual void SetSharedSource(std::unique_ptr<MemorySource> /*source*/) {}
  virtual AllocatorStats memory() const = 0;
  virtual void ResetPeakMemory() = 0;
  // Gives cached memory that nothing lies in back to the system. Training does
  // so at its end, before what comes after it allocates other sizes. Shared
  // memory stays: peers have mapped it.
  virtual void TrimMemory() {}

  // Host memory that copies reach without holding the host up; plain memory
  // where there is no difference.
  virtual absl::StatusOr<std::shared_ptr<void>> AllocateHost(size_t bytes);

  // Copies between host and device memory, ordered on `stream`. Host memory
  // must stay valid until the stream has passed the copy. A copy to host memory
  // that is not of AllocateHost may hold the host up until it is done.
  virtual absl::Status CopyToDevice(void* device, const void* host,
                                    size_t bytes, Stream& stream) = 0;
  virtual absl::Status CopyToHost(void* host, const void* device, size_t bytes,
                                  Stream& stream) = 0;
  virtual absl::Status CopyOnDevice(void* to, const void* from, size_t bytes,
                                    Stream& stream) = 0;
  virtual absl::Status SetZero(void* data, size_t bytes, Stream& stream) = 0;

  // Work that this device can do again by itself. Unimplemented where
  // captures_work() is false.
  virtual bool captures_work() const { return false; }
  virtual absl::StatusOr<std::unique_ptr<CapturedWork>> NewCapturedWork();

  // Whether a device may round the operands of f32 products to 10 bits (TF32),
  // if that is what it is quick at: GPUs are.
  bool allows_tf32() const { return allows_tf32_; }
  void set_allows_tf32(bool allows) { allows_tf32_ = allows; }

  // Who hears of every op and collective; null for nobody. Not owned.
  Recorder* recorder() const { return recorder_; }
  void set_recorder(Recorder* recorder) { recorder_ = recorder; }
  // Where this rank's time goes.
  Tracer& tracer() { return tracer_; }
  // The same by the parts of a step, and for the rank alone. Where work is done
  // behind the host it is the device that keeps it.
  virtual StepClock& step_clock() { return step_clock_; }

 protected:
  explicit Device(DeviceType type) : type_(type), stands_for_(type) {}

 private:
  const DeviceType type_;
  DeviceType stands_for_;
  bool allows_tf32_ = false;
  Recorder* recorder_ = nullptr;
  Tracer tracer_;
  HostStepClock step_clock_{tracer_};
};

// Makes a device of a registered type: number `index` of those that the process
// sees (GPUs; other types have one). A type that is not in the core is loaded
// from its plug-in first. Unavailable, with what to do about it, when the build
// or the machine has none; InvalidArgument when there is no such index.
absl::StatusOr<std::shared_ptr<Device>> MakeDevice(DeviceType type,
                                                   int index = 0);

// How many devices of a type this process sees; touches none of them. The
// plug-in is loaded for it. Unavailable, with the reason, instead of 0.
absl::StatusOr<int> CountDevices(DeviceType type);

struct DeviceBackend {
  absl::StatusOr<std::shared_ptr<Device>> (*make)(int index) = nullptr;
  absl::StatusOr<int> (*count)() = nullptr;
};
// Called once by each backend from a static initialiser.
bool RegisterDevice(DeviceType type, const DeviceBackend& backend);

}  // namespace eisbach
