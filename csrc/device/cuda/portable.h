#pragma once

// What a .cu file of ours includes: the same source is compiled by nvcc for
// GPUs and by the host's compiler for the emulation in tests/support/cuda
// (EISBACH_CUDA_EMULATION), where kernels are checked on machines without one.
//
// Shared memory is declared through the macros below, as `__shared__` would
// silently be a local variable in the emulation:
//   EISBACH_SHARED(float, tile, [32][33]);
//   EISBACH_DYNAMIC_SHARED(float, row);
// Kernels are started by Launch alone. They use no PTX but for the timer below,
// no tensor cores and no asynchronous copies: those belong to cuBLASLt and
// cuDNN.
#ifdef EISBACH_CUDA_EMULATION
#include <support/cuda/emulation.h>
#include <support/cuda/launch.h>
#define EISBACH_SHARED(type, name, dims)                               \
  typedef type name##_type dims;                                       \
  static char name##_tag;                                              \
  name##_type& name =                                                  \
      *static_cast<name##_type*>(::eisbach::emulation::SharedVariable( \
          &name##_tag, sizeof(name##_type), alignof(name##_type)))
#define EISBACH_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::eisbach::emulation::DynamicShared())
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#define EISBACH_SHARED(type, name, dims) __shared__ type name dims
#define EISBACH_DYNAMIC_SHARED(type, name)                          \
  extern __shared__ __align__(128) unsigned char eisbach_dynamic[]; \
  type* const name = reinterpret_cast<type*>(eisbach_dynamic)
#endif

namespace eisbach::cuda {

// `p` as what a thread moves at once, whose size a GPU wants it to be a
// multiple of: kernels load and store vectors through it, as the host's
// processor takes any address and the emulation has to look.
template <typename Word, typename T>
__device__ __forceinline__ Word& AsWord(T* p) {
#ifdef EISBACH_CUDA_EMULATION
  ::eisbach::emulation::CheckAligned(p, sizeof(Word));
#endif
  return *reinterpret_cast<Word*>(p);
}

// The time on the one clock that all blocks of a GPU see.
__device__ __forceinline__ long long Nanoseconds() {
#ifdef EISBACH_CUDA_EMULATION
  return ::eisbach::emulation::Nanoseconds();
#else
  long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
#endif
}

struct LaunchShape {
  dim3 grid;
  dim3 block;
  cudaStream_t stream = nullptr;
  unsigned shared_bytes = 0;  // dynamic; above 48 KiB it is asked for
};

// Starts a kernel; the arguments are checked against its parameters. A grid
// without blocks is no launch.
template <class... P, class... A>
cudaError_t Launch(const LaunchShape& shape, void (*kernel)(P...), A&&... a) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) {
    return cudaSuccess;
  }
  if (shape.shared_bytes > 48 << 10) {
    const cudaError_t error =
        cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shape.shared_bytes));
    if (error != cudaSuccess) return error;
  }
  const cudaLaunchConfig_t config{shape.grid,   shape.block, shape.shared_bytes,
                                  shape.stream, nullptr,     0};
  return cudaLaunchKernelEx(&config, kernel, static_cast<P>(a)...);
}

// Blocks that cover n threads.
inline unsigned BlocksFor(long long n, int block) {
  return static_cast<unsigned>((n + block - 1) / block);
}

}  // namespace eisbach::cuda
