#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <mutex>

#include "support/cuda/block.h"
#include "support/cuda/streams.h"
#include "support/cuda/traffic.h"

namespace eisbach::doubles {

// Puts a kernel into a stream. The arguments are copied now, as on a device.
template <class... P>
cudaError_t EnqueueKernel(cudaStream_t stream, dim3 grid, dim3 dim,
                          size_t shared_bytes, void (*kernel)(P...),
                          P... arguments) {
  {
    std::lock_guard<std::recursive_mutex> lock(Lock());
    ++counters().launches;
  }
  return Enqueue(stream, [=] {
    const TrafficOfLaunch counted;
    const std::function<void()> body = [&] { kernel(arguments...); };
    emulation::RunGrid(grid, dim, shared_bytes, body);
    return true;
  });
}

}  // namespace eisbach::doubles
