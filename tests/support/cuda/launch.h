#pragma once

#include <cuda_runtime_api.h>

#include <functional>

#include "support/cuda/block.h"
#include "support/cuda/streams.h"
#include "support/cuda/traffic.h"

namespace eisbach::doubles {

// What a GPU says of a launch before it runs: more threads than the kernel's
// bound, or more dynamic shared memory than 48 KiB and not asked for by
// cudaFuncSetAttribute, are refused. Counts it.
cudaError_t CheckLaunch(const cudaLaunchConfig_t& config, const void* kernel);

}  // namespace eisbach::doubles

// As cuda_runtime.h has it for nvcc. The arguments are copied now, as on a
// device.
template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t* config,
                               void (*kernel)(P...), A&&... arguments) {
  const cudaError_t error = eisbach::doubles::CheckLaunch(
      *config, reinterpret_cast<const void*>(kernel));
  if (error != cudaSuccess) return error;
  // By position: the names of its members are variables of kernels.
  const auto [grid, block, shared, stream, attributes, count] = *config;
  return eisbach::doubles::Enqueue(
      stream, [grid = grid, block = block, shared = shared, kernel,
               ... copied = static_cast<P>(arguments)] {
        const eisbach::doubles::TrafficOfLaunch counted;
        const std::function<void()> body = [&] { kernel(copied...); };
        eisbach::emulation::RunGrid(grid, block, shared, body);
        return true;
      });
}
