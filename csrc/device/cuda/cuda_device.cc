#include "device/cuda/cuda_device.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/status_macros.h"
#include "device/cuda/cuda_source.h"
#include "device/cuda/status.h"

namespace eisbach::cuda {
namespace {

std::string Version(int number) {
  return absl::StrCat(number / 1000, ".", number % 1000 / 10);
}

absl::StatusOr<int> CountGpus() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess) return count;
  if (error != cudaErrorInsufficientDriver && error != cudaErrorNoDevice) {
    return Status(error, "cudaGetDeviceCount");
  }
  cudaGetLastError();
  int driver = 0;
  cudaDriverGetVersion(&driver);
  return absl::UnavailableError(absl::StrCat(
      "device cuda: ",
      driver == 0 ? "this machine has no NVIDIA driver"
      : error == cudaErrorNoDevice
          ? "the driver sees no GPU (is CUDA_VISIBLE_DEVICES empty?)"
          : absl::StrCat("the driver speaks CUDA ", Version(driver),
                         ", this build needs ", Version(CUDART_VERSION)),
      "; train on run.device=cpu or on a machine with a GPU"));
}

absl::Status CheckIndex(int index) {
  EISBACH_ASSIGN_OR_RETURN(const int count, CountGpus());
  if (index < 0 || index >= count) {
    return absl::InvalidArgumentError(
        absl::StrCat("GPU ", index, " of this host is asked for, and ", count,
                     count == 1 ? " is" : " are",
                     " there: start at most one rank for each GPU of a host"));
  }
  return absl::OkStatus();
}

}  // namespace

CudaDevice::CudaDevice(int index)
    : Device(DeviceType::kCuda),
      index_(index),
      allocator_(std::make_unique<CudaSource>(), CachingChosen()) {}

absl::StatusOr<std::shared_ptr<CudaDevice>> CudaDevice::Make(int index) {
  EISBACH_RETURN_IF_ERROR(CheckIndex(index));
  std::shared_ptr<CudaDevice> device(new CudaDevice(index));
  EISBACH_RETURN_IF_ERROR(device->Init());
  return device;
}

absl::Status CudaDevice::Init() {
  EISBACH_RETURN_IF_CUDA(cudaSetDevice(index_));
  cudaDeviceProp properties;
  EISBACH_RETURN_IF_CUDA(cudaGetDeviceProperties(&properties, index_));
  name_ = properties.name;
  multiprocessors_ = properties.multiProcessorCount;
  architecture_ = properties.major * 10 + properties.minor;
  if (architecture_ < 80) {
    return absl::UnavailableError(absl::StrCat(
        "device cuda: ", name_, " has compute capability ", properties.major,
        ".", properties.minor, "; Eisbach's kernels need 8.0 (A100) or above"));
  }
  EISBACH_ASSIGN_OR_RETURN(
      compute_, CudaStream::Make(*this, CudaStream::Priority::kNormal));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Stream>> CudaDevice::NewStream() {
  EISBACH_RETURN_IF_CUDA(cudaSetDevice(index_));
  return CudaStream::Make(*this, CudaStream::Priority::kHigh);
}

absl::StatusOr<std::shared_ptr<Storage>> CudaDevice::AllocateFrom(
    Allocator& allocator, size_t bytes) {
  EISBACH_ASSIGN_OR_RETURN(void* data, allocator.Allocate(bytes));
  return std::make_shared<Storage>(
      shared_from_this(), data, bytes,
      [&allocator](void* p) { allocator.Free(p); });
}

absl::StatusOr<std::shared_ptr<Storage>> CudaDevice::AllocateFrom(
    std::shared_ptr<MemoryPool> pool, size_t bytes) {
  EISBACH_ASSIGN_OR_RETURN(void* data, pool->allocator().Allocate(bytes));
  return std::make_shared<Storage>(
      shared_from_this(), data, bytes,
      [pool = std::move(pool)](void* p) { pool->allocator().Free(p); });
}

absl::StatusOr<std::shared_ptr<Storage>> CudaDevice::Allocate(size_t bytes) {
  if (in_body()) return AllocateFrom(body_pool_, bytes);
  return AllocateFrom(allocator_, bytes);
}

absl::StatusOr<std::shared_ptr<Storage>> CudaDevice::AllocateShared(
    size_t bytes) {
  return AllocateFrom(shared_ == nullptr ? allocator_ : *shared_, bytes);
}

void CudaDevice::SetSharedSource(std::unique_ptr<MemorySource> source) {
  shared_ =
      std::make_unique<Allocator>(std::move(source), Allocator::Caching::kOn);
}

absl::StatusOr<std::shared_ptr<void>> CudaDevice::AllocateHost(size_t bytes) {
  void* data = nullptr;
  EISBACH_RETURN_IF_CUDA(cudaMallocHost(&data, bytes));
  return std::shared_ptr<void>(data, [](void* p) { cudaFreeHost(p); });
}

AllocatorStats CudaDevice::memory() const {
  AllocatorStats all = allocator_.stats();
  if (shared_ != nullptr) all += shared_->stats();
  for (const auto& pool : LivingPools()) all += pool->stats();
  return all;
}

void CudaDevice::ResetPeakMemory() {
  allocator_.ResetPeak();
  if (shared_ != nullptr) shared_->ResetPeak();
  for (const auto& pool : LivingPools()) pool->allocator().ResetPeak();
}

void CudaDevice::TrimMemory() { allocator_.Trim(); }

absl::Status CudaDevice::CopyToDevice(void* device, const void* host,
                                      size_t bytes, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckHostCopy());
  EISBACH_RETURN_IF_CUDA(cudaMemcpyAsync(
      device, host, bytes, cudaMemcpyHostToDevice, Handle(stream)));
  return absl::OkStatus();
}

absl::Status CudaDevice::CopyToHost(void* host, const void* device,
                                    size_t bytes, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckHostCopy());
  EISBACH_RETURN_IF_CUDA(cudaMemcpyAsync(
      host, device, bytes, cudaMemcpyDeviceToHost, Handle(stream)));
  return absl::OkStatus();
}

absl::Status CudaDevice::CopyOnDevice(void* to, const void* from, size_t bytes,
                                      Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cudaMemcpyAsync(
      to, from, bytes, cudaMemcpyDeviceToDevice, Handle(stream)));
  return absl::OkStatus();
}

absl::Status CudaDevice::SetZero(void* data, size_t bytes, Stream& stream) {
  if (bytes == 0) return absl::OkStatus();
  EISBACH_RETURN_IF_CUDA(cudaMemsetAsync(data, 0, bytes, Handle(stream)));
  return absl::OkStatus();
}

void CudaDevice::Fail(absl::Status cause) {
  std::lock_guard<std::mutex> lock(failure_mutex_);
  if (failed_) return;
  failure_ = std::move(cause);
  failed_ = true;
}

absl::Status CudaDevice::failure() const {
  if (!failed_) return absl::OkStatus();
  std::lock_guard<std::mutex> lock(failure_mutex_);
  return failure_;
}

CudaDevice& DeviceOf(const Stream& stream) {
  EISBACH_CHECK(stream.device().type() == DeviceType::kCuda);
  return static_cast<CudaDevice&>(stream.device());
}

namespace {

[[maybe_unused]] const bool cuda_registered = RegisterDevice(
    DeviceType::kCuda,
    {.make = [](int index) -> absl::StatusOr<std::shared_ptr<Device>> {
       return CudaDevice::Make(index);
     },
     .count = &CountGpus});

}  // namespace
}  // namespace eisbach::cuda
