#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/cpu/copy.h"
#include "device/device.h"
#include "device/host_streams.h"

namespace eisbach {
namespace {

class MmapSource final : public MemorySource {
 public:
  absl::StatusOr<void*> Take(size_t bytes) override {
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the system has no ", bytes >> 20,
                       " MiB more for tensors: ", std::strerror(errno)));
    }
    return data;
  }
  void Give(void* data, size_t bytes) override { munmap(data, bytes); }
};

constexpr size_t kPastCachesBytes = size_t{1} << 20;

class CpuDevice final : public Device {
 public:
  CpuDevice()
      : Device(DeviceType::kCpu),
        allocator_(std::make_unique<MmapSource>()),
        compute_(*this) {}

  Stream& compute_stream() override { return compute_; }
  absl::StatusOr<std::unique_ptr<Stream>> NewStream() override {
    return std::make_unique<DeferredStream>(*this);
  }

  absl::StatusOr<std::shared_ptr<Storage>> Allocate(size_t bytes) override {
    return AllocateFrom(allocator_, bytes);
  }
  absl::StatusOr<std::shared_ptr<Storage>> AllocateShared(
      size_t bytes) override {
    return AllocateFrom(shared_ == nullptr ? allocator_ : *shared_, bytes);
  }
  void SetSharedSource(std::unique_ptr<MemorySource> source) override {
    shared_ = std::make_unique<Allocator>(std::move(source));
  }
  AllocatorStats memory() const override {
    AllocatorStats all = allocator_.stats();
    if (shared_ != nullptr) all += shared_->stats();
    return all;
  }
  void ResetPeakMemory() override {
    allocator_.ResetPeak();
    if (shared_ != nullptr) shared_->ResetPeak();
  }
  void TrimMemory() override { allocator_.Trim(); }

  absl::Status CopyToDevice(void* device, const void* host, size_t bytes,
                            Stream&) override {
    return Copy(device, host, bytes);
  }
  // Whoever asks for as much reads it once, or writes it to a disk.
  absl::Status CopyToHost(void* host, const void* device, size_t bytes,
                          Stream& stream) override {
    if (bytes < kPastCachesBytes) {
      return CopyOnDevice(host, device, bytes, stream);
    }
    cpu::CopyPastCaches(host, device, static_cast<int64_t>(bytes));
    return absl::OkStatus();
  }
  absl::Status CopyOnDevice(void* to, const void* from, size_t bytes,
                            Stream&) override {
    return Copy(to, from, bytes);
  }
  absl::Status SetZero(void* data, size_t bytes, Stream&) override {
    if (bytes > 0) std::memset(data, 0, bytes);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::shared_ptr<Storage>> AllocateFrom(Allocator& allocator,
                                                        size_t bytes) {
    EISBACH_ASSIGN_OR_RETURN(void* data, allocator.Allocate(bytes));
    return std::make_shared<Storage>(
        shared_from_this(), data, bytes,
        [&allocator](void* p) { allocator.Free(p); });
  }
  static absl::Status Copy(void* to, const void* from, size_t bytes) {
    if (bytes > 0) std::memmove(to, from, bytes);
    return absl::OkStatus();
  }

  Allocator allocator_;
  std::unique_ptr<Allocator> shared_;  // null: none but the above
  InlineStream compute_;
};

[[maybe_unused]] const bool cpu_registered =
    RegisterDevice(DeviceType::kCpu,
                   {.make = [](int) -> absl::StatusOr<std::shared_ptr<Device>> {
                      return std::make_shared<CpuDevice>();
                    },
                    .count = []() -> absl::StatusOr<int> { return 1; }});

}  // namespace
}  // namespace eisbach
