// A double of the part of the CUDA runtime that the backend calls. Device
// memory is host memory, full of NaN patterns at first; streams are queues
// (streams.h). The declarations are NVIDIA's, so that a wrong signature does
// not compile.
#include <cuda_runtime_api.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "support/cuda/block.h"
#include "support/cuda/graph.h"
#include "support/cuda/host_access.h"
#include "support/cuda/stream_types.h"

using eisbach::doubles::CaptureForbids;
using eisbach::doubles::Capturing;
using eisbach::doubles::counters;
using eisbach::doubles::DriveUntil;
using eisbach::doubles::Enqueue;
using eisbach::doubles::EventRecord;
using eisbach::doubles::Lock;
using eisbach::doubles::RefuseCaptured;
using eisbach::doubles::RefuseInCapture;
using eisbach::doubles::Streams;

namespace {

enum class Memory { kDevice, kPinned };
struct Region {
  size_t bytes;
  Memory memory;
  int device;
};

std::map<const char*, Region>& Regions() {
  static auto* const regions = new std::map<const char*, Region>;
  return *regions;
}

const Region* Find(const void* pointer) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  const char* p = static_cast<const char*>(pointer);
  auto it = Regions().upper_bound(p);
  if (it == Regions().begin()) return nullptr;
  --it;
  return p < it->first + it->second.bytes ? &it->second : nullptr;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

cudaError_t Note(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

int DeviceCount() {
  const char* text = std::getenv("EISBACH_CUDA_DOUBLE_DEVICES");
  return text == nullptr ? 1 : std::atoi(text);
}

size_t DeviceBytes() {
  const char* text = std::getenv("EISBACH_CUDA_DOUBLE_BYTES");
  return text == nullptr ? size_t{4} << 30 : std::strtoull(text, nullptr, 10);
}

size_t device_bytes_in_use = 0;

double Milliseconds() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

cudaError_t Allocate(void** pointer, size_t bytes, Memory memory) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (CaptureForbids()) return Note(RefuseInCapture("an allocation"));
  *pointer = nullptr;
  if (memory == Memory::kDevice &&
      device_bytes_in_use + bytes > DeviceBytes()) {
    return Note(cudaErrorMemoryAllocation);
  }
  // Exact, so that AddressSanitizer sees an overrun.
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  if (posix_memalign(pointer, bytes < page ? 256 : page,
                     bytes == 0 ? 1 : bytes) != 0) {
    return Note(cudaErrorMemoryAllocation);
  }
  std::memset(*pointer, 0xff, bytes);
  Regions()[static_cast<char*>(*pointer)] = {bytes, memory, current_device};
  if (memory == Memory::kDevice) device_bytes_in_use += bytes;
  ++counters().allocations;
  return cudaSuccess;
}

bool Idle() {
  for (const CUstream_st* stream : Streams()) {
    if (!stream->queue.empty()) return false;
  }
  return true;
}

cudaError_t Release(void* pointer, Memory memory) {
  if (pointer == nullptr) return cudaSuccess;
  if (CaptureForbids()) return Note(RefuseInCapture("freeing memory"));
  // The real call waits for the device.
  ++counters().host_synchronisations;
  DriveUntil(&Idle);
  std::lock_guard<std::recursive_mutex> lock(Lock());
  auto it = Regions().find(static_cast<char*>(pointer));
  if (it == Regions().end() || it->second.memory != memory) {
    return Note(cudaErrorInvalidValue);
  }
  if (memory == Memory::kDevice) device_bytes_in_use -= it->second.bytes;
  const std::function<bool()> release = [&] {
    std::free(pointer);
    Regions().erase(it);
    return true;
  };
  eisbach::doubles::WithDeviceMemory(release);
  return cudaSuccess;
}

cudaError_t WaitFor(const char* call, const std::function<bool()>& done) {
  if (CaptureForbids()) return Note(RefuseInCapture(call));
  ++counters().host_synchronisations;
  DriveUntil(done);
  return cudaSuccess;
}

}  // namespace

namespace eisbach::doubles {

bool IsDeviceMemory(const void* pointer) {
  const Region* region = Find(pointer);
  return region != nullptr && region->memory == Memory::kDevice;
}
bool IsPinnedMemory(const void* pointer) {
  const Region* region = Find(pointer);
  return region != nullptr && region->memory == Memory::kPinned;
}
void VisitDeviceMemory(const std::function<void(void*, size_t)>& visit) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  for (const auto& [data, region] : Regions()) {
    if (region.memory != Memory::kDevice) continue;
    visit(const_cast<char*>(data), region.bytes);
  }
}
int CurrentDevice() { return current_device; }
int DeviceOf(const void* pointer) {
  const Region* region = Find(pointer);
  const bool on_device = region != nullptr && region->memory == Memory::kDevice;
  return on_device ? region->device : -1;
}
bool IsOfCurrentDevice(cudaStream_t stream) {
  if (stream == nullptr || stream->device == current_device) return true;
  std::fprintf(stderr,
               "cuda double: a stream of GPU %d is used while GPU %d is "
               "chosen\n",
               stream->device, current_device);
  return false;
}
cudaError_t AllocateDevice(void** pointer, size_t bytes) {
  return Allocate(pointer, bytes, Memory::kDevice);
}
cudaError_t FreeDevice(void* pointer) {
  return Release(pointer, Memory::kDevice);
}

}  // namespace eisbach::doubles

extern "C" {

cudaError_t CUDARTAPI cudaGetDeviceCount(int* count) {
  *count = DeviceCount();
  return Note(*count > 0 ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t CUDARTAPI cudaSetDevice(int device) {
  if (device < 0 || device >= DeviceCount()) {
    return Note(cudaErrorInvalidDevice);
  }
  current_device = device;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGetDeviceProperties(cudaDeviceProp* properties,
                                              int device) {
  if (device < 0 || device >= DeviceCount()) {
    return Note(cudaErrorInvalidDevice);
  }
  *properties = cudaDeviceProp{};
  std::snprintf(properties->name, sizeof(properties->name),
                "emulated GPU (no hardware)");
  properties->major = 10;
  properties->minor = 0;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = DeviceBytes();
  properties->sharedMemPerBlockOptin = eisbach::emulation::kMaxDynamicShared;
  properties->pciBusID = device;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDeviceGetAttribute(int* value, cudaDeviceAttr which,
                                             int) {
  switch (which) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = 10;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = eisbach::emulation::kMaxDynamicShared;
      break;
    default:
      return Note(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDeviceGetStreamPriorityRange(int* least,
                                                       int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaDeviceGetPCIBusId(char* text, int length,
                                            int device) {
  std::snprintf(text, length, "0000:%02x:00.0", device);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMalloc(void** pointer, size_t bytes) {
  return Allocate(pointer, bytes, Memory::kDevice);
}
cudaError_t CUDARTAPI cudaFree(void* pointer) {
  return Release(pointer, Memory::kDevice);
}
cudaError_t CUDARTAPI cudaMallocHost(void** pointer, size_t bytes) {
  return Allocate(pointer, bytes, Memory::kPinned);
}
cudaError_t CUDARTAPI cudaFreeHost(void* pointer) {
  return Release(pointer, Memory::kPinned);
}
cudaError_t CUDARTAPI cudaMemGetInfo(size_t* free, size_t* total) {
  *total = DeviceBytes();
  *free = *total - device_bytes_in_use;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaMemcpyAsync(void* to, const void* from, size_t bytes,
                                      cudaMemcpyKind kind,
                                      cudaStream_t stream) {
  const bool to_device =
      kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device =
      kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (bytes > 0 && (eisbach::doubles::IsDeviceMemory(to) != to_device ||
                    eisbach::doubles::IsDeviceMemory(from) != from_device)) {
    std::fputs("cuda double: a copy with pointers of the wrong kind\n", stderr);
    return Note(cudaErrorInvalidValue);
  }
  for (const void* pointer : {static_cast<const void*>(to), from}) {
    const int device = eisbach::doubles::DeviceOf(pointer);
    if (bytes == 0 || stream == nullptr || device < 0 ||
        device == stream->device) {
      continue;
    }
    std::fprintf(stderr,
                 "cuda double: a copy of memory of GPU %d on a stream of GPU "
                 "%d\n",
                 device, stream->device);
    return Note(cudaErrorInvalidValue);
  }
  ++counters().copies;
  const cudaError_t error = Enqueue(stream, [=] {
    if (bytes > 0) std::memmove(to, from, bytes);
    return true;
  });
  if (error != cudaSuccess) return Note(error);
  // A copy to memory that is not pinned holds the host up.
  if (kind == cudaMemcpyDeviceToHost && bytes > 0 &&
      !eisbach::doubles::IsPinnedMemory(to)) {
    return WaitFor("a copy to pageable memory",
                   [stream] { return stream->queue.empty(); });
  }
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaMemsetAsync(void* data, int value, size_t bytes,
                                      cudaStream_t stream) {
  if (bytes > 0 && !eisbach::doubles::IsDeviceMemory(data)) {
    return Note(cudaErrorInvalidValue);
  }
  ++counters().copies;
  return Note(Enqueue(stream, [=] {
    if (bytes > 0) std::memset(data, value, bytes);
    return true;
  }));
}

cudaError_t CUDARTAPI cudaMemset2DAsync(void* data, size_t pitch, int value,
                                        size_t width, size_t height,
                                        cudaStream_t stream) {
  if (width == 0 || height == 0) return cudaSuccess;
  if (width > pitch || !eisbach::doubles::IsDeviceMemory(data)) {
    return Note(cudaErrorInvalidValue);
  }
  ++counters().copies;
  return Note(Enqueue(stream, [=] {
    for (size_t i = 0; i < height; ++i) {
      std::memset(static_cast<char*>(data) + i * pitch, value, width);
    }
    return true;
  }));
}

cudaError_t CUDARTAPI cudaStreamCreateWithPriority(cudaStream_t* stream,
                                                   unsigned, int priority) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  *stream = new CUstream_st{.device = current_device, .priority = priority};
  Streams().insert(*stream);
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamDestroy(cudaStream_t stream) {
  DriveUntil([stream] { return stream->queue.empty(); });
  std::lock_guard<std::recursive_mutex> lock(Lock());
  Streams().erase(stream);
  delete stream;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaStreamSynchronize(cudaStream_t stream) {
  if (stream == nullptr) return Note(cudaErrorInvalidResourceHandle);
  return WaitFor("cudaStreamSynchronize",
                 [stream] { return stream->queue.empty(); });
}
cudaError_t CUDARTAPI cudaDeviceSynchronize() {
  return WaitFor("cudaDeviceSynchronize", &Idle);
}
cudaError_t CUDARTAPI cudaStreamWaitEvent(cudaStream_t stream,
                                          cudaEvent_t event, unsigned) {
  if (event == nullptr || stream == nullptr) {
    return Note(cudaErrorInvalidResourceHandle);
  }
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (const auto graph = event->capture.lock(); graph != nullptr) {
    if (graph->ended) return Note(cudaErrorCapturedEvent);
    // The stream joins the capture, or comes after one more branch of it.
    if (stream->capture == nullptr) {
      stream->capture = graph;
      stream->tail.clear();
    }
    if (stream->capture != graph) return Note(cudaErrorStreamCaptureMerge);
    stream->tail.insert(stream->tail.end(), event->tail.begin(),
                        event->tail.end());
    return cudaSuccess;
  }
  if (Capturing(*stream)) {
    return Note(RefuseInCapture("waiting for an event from outside"));
  }
  return Note(Enqueue(stream, [record = event->record] {
    return record == nullptr || record->done;
  }));
}

cudaError_t CUDARTAPI cudaEventCreateWithFlags(cudaEvent_t* event,
                                               unsigned flags) {
  *event = new CUevent_st;
  (*event)->device = current_device;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (stream == nullptr || stream->device != event->device) {
    return Note(cudaErrorInvalidResourceHandle);
  }
  if (Capturing(*stream)) {
    event->capture = stream->capture;
    event->tail = stream->tail;
    return cudaSuccess;
  }
  event->capture.reset();
  event->record = std::make_shared<EventRecord>();
  return Note(Enqueue(stream, [record = event->record] {
    record->done = true;
    record->milliseconds = Milliseconds();
    return true;
  }));
}
cudaError_t CUDARTAPI cudaEventQuery(cudaEvent_t event) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (RefuseCaptured("cudaEventQuery", *event)) {
    return Note(cudaErrorCapturedEvent);
  }
  if (event->record == nullptr || event->record->done) return cudaSuccess;
  eisbach::doubles::Polled();
  return cudaErrorNotReady;
}
cudaError_t CUDARTAPI cudaEventSynchronize(cudaEvent_t event) {
  if (RefuseCaptured("cudaEventSynchronize", *event)) {
    return Note(cudaErrorCapturedEvent);
  }
  const auto record = event->record;
  return WaitFor("cudaEventSynchronize",
                 [record] { return record == nullptr || record->done; });
}
cudaError_t CUDARTAPI cudaEventElapsedTime(float* milliseconds,
                                           cudaEvent_t from, cudaEvent_t to) {
  if (!from->timed || !to->timed || from->record == nullptr ||
      !from->record->done || to->record == nullptr || !to->record->done) {
    return Note(cudaErrorInvalidResourceHandle);
  }
  *milliseconds =
      static_cast<float>(to->record->milliseconds - from->record->milliseconds);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGetLastError() {
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}
const char* CUDARTAPI cudaGetErrorString(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidValue:
      return "invalid argument";
    default:
      return "error of the CUDA runtime's double";
  }
}
const char* CUDARTAPI cudaGetErrorName(cudaError_t error) {
  return cudaGetErrorString(error);
}

}  // extern "C"
