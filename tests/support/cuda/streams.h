#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <mutex>

// What lies under the doubles of CUDA's libraries: streams that are queues of
// work, as on a device. Work runs when the host waits for it, or when chance
// says so (EISBACH_CUDA_DOUBLE_SEED): so a missing wait for an event, and host
// memory that changes too early, show as wrong values. Seed 0 runs everything
// as soon as it can.
namespace eisbach::doubles {

// Called again and again until it returns true; never blocks. Work that waits
// for other streams or processes returns false.
using Work = std::function<bool()>;
// Makes work when it is put on a stream, and anew at each launch of a graph.
using MakeWork = std::function<Work()>;

// One lock for all doubles: they are called by several threads.
std::recursive_mutex& Lock();

// Adds work to a stream. The default stream is refused: it would order
// everything and hide what is wrong.
cudaError_t Enqueue(cudaStream_t stream, Work work);
cudaError_t EnqueueMade(cudaStream_t stream, MakeWork make);
// Runs work of all streams until `done`, which is asked between pieces. Ends
// the process when nothing can go on and nothing waits for another process.
void DriveUntil(const std::function<bool()>& done);
// Runs some work of all streams, by chance none: a device goes on while the
// host asks it whether something is done.
void Advance();
// The host has asked for an event that is not there. To ask again, and give the
// device nothing to do in between, is to wait.
void Polled();
// The next of the numbers that EISBACH_CUDA_DOUBLE_SEED leads to.
uint64_t Chance();
// Work that waits for another process says so before it returns false.
void WaitsForPeer();

// What the program asked of the device since it started, or the last Reset.
struct Counters {
  int64_t launches = 0;       // own kernels
  int64_t library_calls = 0;  // cuBLASLt and cuDNN executes
  int64_t collectives = 0;    // NCCL calls
  int64_t copies = 0;         // and memsets
  // Also by cudaFree, and by polling in the thread that gave the first work.
  int64_t host_synchronisations = 0;
  int64_t allocations = 0;  // cudaMalloc, cudaMallocHost and the like
  int64_t graph_launches = 0;
};
Counters& counters();

// Whether `pointer` lies in memory of cudaMalloc, or of cudaMallocHost.
bool IsDeviceMemory(const void* pointer);
bool IsPinnedMemory(const void* pointer);
// All memory of cudaMalloc. What fills a page begins at one.
void VisitDeviceMemory(const std::function<void(void* data, size_t)>& visit);
// The device that this thread has chosen, and that of memory of cudaMalloc; -1
// for other memory.
int CurrentDevice();
int DeviceOf(const void* pointer);
// Whether a stream is of the chosen device, as launches and libraries want it;
// says so where it is not.
bool IsOfCurrentDevice(cudaStream_t stream);
// For libraries that allocate on the device.
cudaError_t AllocateDevice(void** pointer, size_t bytes);
cudaError_t FreeDevice(void* pointer);

}  // namespace eisbach::doubles
