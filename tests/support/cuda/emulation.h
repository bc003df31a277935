#pragma once

// The CUDA execution model on the host, for tests on machines without a GPU.
//
// A kernel's body runs once for each CUDA thread, each on a fiber of its own,
// so barriers and warp operations really wait for the other threads. One block
// runs at a time, on the calling thread. AddressSanitizer finds accesses out of
// bounds of global and shared memory, ThreadSanitizer races between CUDA
// threads of one block or of two that no barrier orders. A vector that is not
// aligned (AsWord in device/cuda/portable.h) ends the process in every build.
//
// Not emulated: inline PTX, asynchronous copies, clusters, tensor cores, the
// rounding of fast intrinsics, weak memory order, how long things take (the
// timer is the host's).
//
// Kernels include it through device/cuda/portable.h. Types come from NVIDIA's
// own host headers.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>
#include <vector_functions.h>

#include <atomic>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#include "support/cuda/block.h"
#include "support/cuda/bounds.h"

#undef __shared__
#undef __launch_bounds__
#undef __global__
#undef __device__
#undef __host__
#undef __forceinline__
#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...) EMULATION_BOUND(__VA_ARGS__)
#define __forceinline__ inline

#define threadIdx (::eisbach::emulation::current->index)
#define blockIdx (::eisbach::emulation::block->index)
#define blockDim (::eisbach::emulation::block->dim)
#define gridDim (::eisbach::emulation::block->grid)
constexpr int warpSize = 32;

#define EMULATION_TEXT2(x) #x
#define EMULATION_TEXT(x) EMULATION_TEXT2(x)
#define EMULATION_HERE __FILE__ ":" EMULATION_TEXT(__LINE__)
#define __syncthreads() ::eisbach::emulation::BlockBarrier(EMULATION_HERE)
#define __syncwarp(...)              \
  ::eisbach::emulation::WarpBarrier( \
      ::eisbach::emulation::MaskOrAll(__VA_ARGS__), EMULATION_HERE, nullptr)

template <class T>
T __shfl_xor_sync(uint32_t mask, T v, int x, int width = 32) {
  const uint32_t lane = eisbach::emulation::current->lane;
  const uint32_t source = lane ^ static_cast<unsigned>(x);
  return eisbach::emulation::Exchange(
      mask, v, source / width > lane / width ? lane : source,
      "__shfl_xor_sync");
}
template <class T>
T __shfl_down_sync(uint32_t mask, T v, unsigned delta, int width = 32) {
  const uint32_t lane = eisbach::emulation::current->lane;
  const bool inside = lane % width + delta < static_cast<unsigned>(width);
  return eisbach::emulation::Exchange(mask, v, inside ? lane + delta : lane,
                                      "__shfl_down_sync");
}
template <class T>
T __shfl_up_sync(uint32_t mask, T v, unsigned delta, int width = 32) {
  const uint32_t lane = eisbach::emulation::current->lane;
  const bool inside = lane % width >= delta;
  return eisbach::emulation::Exchange(mask, v, inside ? lane - delta : lane,
                                      "__shfl_up_sync");
}
template <class T>
T __shfl_sync(uint32_t mask, T v, int source, int width = 32) {
  const uint32_t lane = eisbach::emulation::current->lane;
  return eisbach::emulation::Exchange(
      mask, v, lane / width * width + static_cast<unsigned>(source) % width,
      "__shfl_sync");
}
inline unsigned __ballot_sync(uint32_t mask, int predicate) {
  return eisbach::emulation::Exchange(
      mask, static_cast<unsigned>(predicate != 0), 0, "__ballot_sync",
      eisbach::emulation::FinishBallot);
}
inline int __any_sync(uint32_t mask, int predicate) {
  return __ballot_sync(mask, predicate) != 0;
}
inline int __all_sync(uint32_t mask, int predicate) {
  return __ballot_sync(mask, predicate) == mask;
}

namespace eisbach::emulation {
inline long long Nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}
}  // namespace eisbach::emulation

// The order in which a GPU adds is another in each run, and with it the last
// bits of a sum of fractions. Whole numbers in f64 have no such bits.
template <class T>
T atomicAdd(T* p, T v) {
  static_assert(std::is_integral_v<T> || std::is_same_v<T, double>,
                "the sum of fractions would depend on their order");
  if constexpr (std::is_same_v<T, double>) eisbach::emulation::CheckWhole(v);
  return std::atomic_ref<T>(*p).fetch_add(v, std::memory_order_acq_rel);
}
template <class T>
T atomicMax(T* p, T v) {
  std::atomic_ref<T> a(*p);
  T old = a.load();
  while (old < v && !a.compare_exchange_weak(old, v)) {
  }
  return old;
}
template <class T>
T atomicCAS(T* p, T expected, T v) {
  std::atomic_ref<T>(*p).compare_exchange_strong(expected, v);
  return expected;
}
inline void __threadfence() {}

template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline void sincospif(float x, float* s, float* c) {
  *s = static_cast<float>(std::sin(M_PI * x));
  *c = static_cast<float>(std::cos(M_PI * x));
}
inline uint32_t __float_as_uint(float f) { return std::bit_cast<uint32_t>(f); }
inline float __uint_as_float(uint32_t u) { return std::bit_cast<float>(u); }
inline int __popc(uint32_t v) { return std::popcount(v); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline int __clz(int v) { return std::countl_zero(static_cast<uint32_t>(v)); }
inline uint32_t __umulhi(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>(static_cast<uint64_t>(a) * b >> 32);
}
using std::max;
using std::min;
