// The emulation of CUDA threads itself: that it computes what a GPU would, and
// that faults planted here are found. Those that only a sanitizer sees are
// compiled for that sanitizer's build.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "device/cuda/portable.h"
#include "ops/cuda/reduce.cuh"
#include "support/cuda/window.h"

namespace eisbach::emulation_test {
namespace {

constexpr unsigned kAllLanes = 0xffffffffu;

template <typename F>
void RunBlocks(unsigned blocks, unsigned threads, F body) {
  emulation::RunGrid(dim3(blocks), dim3(threads), 0, body);
}

// The emulation ends the process with this code where CUDA leaves the outcome
// undefined; so does ThreadSanitizer after a report.
const testing::ExitedWithCode kFault(66);

TEST(Emulation, RunsEveryThreadOfEveryBlockOnce) {
  std::vector<int> count(2 * 3 * 2 * 4 * 5 * 3);
  emulation::RunGrid(dim3(2, 3, 2), dim3(4, 5, 3), 0, [&] {
    const unsigned block =
        blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    const unsigned thread =
        threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    ++count[block * 60 + thread];
  });
  EXPECT_EQ(count, std::vector<int>(count.size(), 1));
}

TEST(Emulation, ShufflesWithinAWidth) {
  std::vector<unsigned> xored(32), down(32), up(32), from(32);
  RunBlocks(1, 32, [&] {
    const unsigned lane = threadIdx.x;
    xored[lane] = __shfl_xor_sync(kAllLanes, lane, 5, 8);
    down[lane] = __shfl_down_sync(kAllLanes, lane, 3, 16);
    up[lane] = __shfl_up_sync(kAllLanes, lane, 2, 4);
    from[lane] = __shfl_sync(kAllLanes, lane * 10, 9, 8);
  });
  for (unsigned lane = 0; lane < 32; ++lane) {
    EXPECT_EQ(xored[lane], lane ^ 5u);
    EXPECT_EQ(down[lane], lane % 16 + 3 < 16 ? lane + 3 : lane);
    EXPECT_EQ(up[lane], lane % 4 >= 2 ? lane - 2 : lane);
    EXPECT_EQ(from[lane], (lane / 8 * 8 + 1) * 10);
  }
}

TEST(Emulation, ShufflesAmongTheLanesOfAMask) {
  std::vector<int> sums(32);
  RunBlocks(1, 32, [&] {
    // The halves go different ways at different times.
    const int lane = static_cast<int>(threadIdx.x);
    const unsigned mask = lane < 12 ? 0xfffu : ~0xfffu;
    int v = lane;
    if (lane < 12) {
      for (int i = 0; i < 3; ++i) v += __shfl_xor_sync(mask, v, 1);
    } else {
      v += __shfl_down_sync(mask, v, 1);
    }
    sums[lane] = v;
  });
  for (int lane = 0; lane < 32; ++lane) {
    const int pair = lane + (lane ^ 1);
    const int next = lane < 31 ? lane + 1 : lane;
    EXPECT_EQ(sums[lane], lane < 12 ? pair * 4 : lane + next) << lane;
  }
}

TEST(Emulation, Votes) {
  std::vector<unsigned> ballots(64);
  std::vector<int> any(64), all(64);
  RunBlocks(1, 64, [&] {
    const unsigned i = threadIdx.x;
    ballots[i] = __ballot_sync(kAllLanes, i % 3 == 0);
    any[i] = __any_sync(kAllLanes, i == 40);
    all[i] = __all_sync(kAllLanes, i < 32);
  });
  EXPECT_EQ(ballots[5], 0x49249249u);
  EXPECT_EQ(ballots[33], 0x92492492u);
  EXPECT_EQ(any[0], 0);
  EXPECT_EQ(any[63], 1);
  EXPECT_EQ(all[0], 1);
  EXPECT_EQ(all[63], 0);
}

TEST(Emulation, ReducesOverABlock) {
  std::vector<float> sums(2 * 96);
  RunBlocks(2, 96, [&] {
    const float v = static_cast<float>(threadIdx.x + blockIdx.x);
    sums[blockIdx.x * 96 + threadIdx.x] = cuda::BlockReduce<cuda::SumOf>(v);
  });
  for (int i = 0; i < 96; ++i) {
    EXPECT_EQ(sums[i], 95 * 96 / 2);
    EXPECT_EQ(sums[96 + i], 95 * 96 / 2 + 96);
  }
}

TEST(Emulation, SharedMemoryIsTheBlocksAndNotANumberAtFirst) {
  std::vector<float> first(3), last(3);
  RunBlocks(3, 64, [&] {
    EISBACH_SHARED(float, shared, [64]);
    if (threadIdx.x == 0) first[blockIdx.x] = shared[63];
    __syncthreads();
    shared[threadIdx.x] = static_cast<float>(blockIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) last[blockIdx.x] = shared[63];
  });
  for (int b = 0; b < 3; ++b) {
    EXPECT_TRUE(std::isnan(first[b]));
    EXPECT_EQ(last[b], b);
  }
}

TEST(Emulation, BarriersLetExitedThreadsGo) {
  std::vector<int> seen(64);
  RunBlocks(1, 64, [&] {
    EISBACH_SHARED(int, flag, [1]);
    if (threadIdx.x >= 40) return;
    if (threadIdx.x == 39) flag[0] = 7;
    __syncthreads();
    seen[threadIdx.x] = flag[0];
  });
  for (int i = 0; i < 64; ++i) EXPECT_EQ(seen[i], i < 40 ? 7 : 0);
}

TEST(EmulationDeathTest, FindsADivergentBarrier) {
  EXPECT_EXIT(RunBlocks(1, 64,
                        [] {
                          if (threadIdx.x < 32) {
                            __syncthreads();
                          } else {
                            // Another place in the source.
                            __syncthreads();
                          }
                        }),
              kFault, "divergent __syncthreads");
}

TEST(EmulationDeathTest, FindsAMaskThatNamesAnExitedLane) {
  // Whether the lane is gone or only never comes depends on the schedule.
  EXPECT_EXIT(RunBlocks(1, 32,
                        [] {
                          if (threadIdx.x == 3) return;
                          __shfl_xor_sync(kAllLanes, 1, 1);
                        }),
              kFault, "names a lane that has exited|deadlock");
  EXPECT_EXIT(RunBlocks(1, 16, [] { __syncwarp(); }), kFault,
              "names a lane that has exited or does not exist");
}

TEST(EmulationDeathTest, FindsWrongMasks) {
  EXPECT_EXIT(RunBlocks(1, 32, [] { __syncwarp(0xffu); }), kFault,
              "whose mask leaves it out");
  EXPECT_EXIT(
      RunBlocks(
          1, 32,
          [] { __shfl_xor_sync(threadIdx.x == 0 ? 3u : kAllLanes, 1, 1); }),
      kFault, "different masks");
}

TEST(EmulationDeathTest, FindsADeadlock) {
  EXPECT_EXIT(
      RunBlocks(1, 32,
                [] {
                  if (threadIdx.x == 0) {
                    __syncwarp(3u);  // for lane 1, which waits elsewhere
                  }
                  __syncthreads();
                }),
      kFault, "deadlock: no thread of the block can go on");
}

TEST(EmulationDeathTest, SumsOfFractionsHaveOneOrder) {
  double sum = 0;
  RunBlocks(2, 32, [&] { atomicAdd(&sum, 3.0); });
  EXPECT_EQ(sum, 192);
  EXPECT_EXIT(RunBlocks(1, 32, [&] { atomicAdd(&sum, 0.5); }), kFault,
              "atomicAdd of a fraction");
}

TEST(EmulationDeathTest, RefusesWhatNoGpuCanLaunch) {
  EXPECT_EXIT(RunBlocks(1, 1025, [] {}), kFault,
              "invalid launch configuration");
  EXPECT_EXIT(emulation::RunGrid(dim3(1), dim3(32), 228 << 10, [] {}), kFault,
              "more dynamic shared memory than an SM has");
}

__global__ void __launch_bounds__(64) Bounded(int* x) { atomicAdd(x, 1); }
template <int kWarps>
__global__ void __launch_bounds__(32 * kWarps, 2) BoundedByWarps(int* x) {
  atomicAdd(x, 1);
}
__global__ void Unbounded(int* x) { atomicAdd(x, 1); }

// Each thread of the block has a part of the shared memory for itself.
__global__ void __launch_bounds__(32) FillShared(int* x, int ints) {
  EISBACH_DYNAMIC_SHARED(int, shared);
  for (int i = threadIdx.x; i < ints; i += 32) shared[i] = i;
  __syncthreads();
  if (threadIdx.x == 0) *x = shared[ints - 1];
}

class LaunchTest : public ::testing::Test {
 protected:
  LaunchTest() {
    EXPECT_EQ(cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, 0),
              cudaSuccess);
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&x_), sizeof(int)),
              cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(x_, 0, sizeof(int), stream_), cudaSuccess);
  }
  ~LaunchTest() override {
    cudaStreamDestroy(stream_);
    cudaFree(x_);
  }
  int Read() {
    int x = -1;
    EXPECT_EQ(
        cudaMemcpyAsync(&x, x_, sizeof(x), cudaMemcpyDeviceToHost, stream_),
        cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return x;
  }
  template <typename K>
  cudaError_t Run(K kernel, unsigned threads) {
    return cuda::Launch({dim3(1), dim3(threads), stream_}, kernel, x_);
  }

  cudaStream_t stream_ = nullptr;
  int* x_ = nullptr;
};

TEST_F(LaunchTest, RefusesMoreThreadsThanTheKernelsBound) {
  EXPECT_EQ(Run(Bounded, 64), cudaSuccess);
  EXPECT_EQ(Run(Bounded, 65), cudaErrorInvalidConfiguration);
  EXPECT_EQ(Run(BoundedByWarps<4>, 128), cudaSuccess);
  EXPECT_EQ(Run(BoundedByWarps<4>, 160), cudaErrorInvalidConfiguration);
  EXPECT_EQ(Run(BoundedByWarps<32>, 1024), cudaSuccess);
  EXPECT_EQ(Run(Unbounded, 1024), cudaSuccess);
  EXPECT_EQ(Run(Unbounded, 1025), cudaErrorInvalidConfiguration);
  EXPECT_EQ(Read(), 64 + 128 + 1024 + 1024);
}

TEST_F(LaunchTest, SharedMemoryAboveTheFreePartIsAskedFor) {
  const auto run = [&](unsigned kib) {
    return cuda::Launch({dim3(1), dim3(32), stream_, kib << 10}, FillShared, x_,
                        static_cast<int>(kib << 8));
  };
  EXPECT_EQ(run(48), cudaSuccess);
  EXPECT_EQ(Read(), (48 << 8) - 1);
  cudaLaunchConfig_t config{dim3(1), dim3(32), 64 << 10, stream_, nullptr, 0};
  EXPECT_EQ(cudaLaunchKernelEx(&config, FillShared, x_, 64 << 8),
            cudaErrorInvalidValue);
  EXPECT_EQ(run(64), cudaSuccess);
  EXPECT_EQ(Read(), (64 << 8) - 1);
  EXPECT_EQ(run(228), cudaErrorInvalidValue);
}

TEST(EmulationDeathTest, RefusesAMisalignedVector) {
  alignas(16) float x[8] = {};
  RunBlocks(1, 1, [&x] { x[0] = cuda::AsWord<float4>(x + 4).x; });
  EXPECT_EXIT(
      RunBlocks(1, 1, [&x] { x[0] = cuda::AsWord<float4>(x + 2).x; }), kFault,
      "a vector that is not aligned, block \\(0,0,0\\) thread \\(0,0,0\\)");
}

// A grid that would never come to its end.
TEST(Emulation, RunsTheEndsOfAGridAlone) {
  std::atomic<size_t> count{0};
  std::array<uint64_t, 16> ran{};
  const auto note = [&] {
    ran[count++] = uint64_t{blockIdx.y} << 32 | blockIdx.x;
  };
  const auto take = [&] {
    return std::vector<uint64_t>(ran.begin(), ran.begin() + count.exchange(0));
  };
  constexpr unsigned kLast = 0x7ffffffeu;
  {
    const emulation::OnlyEnds ends(2);
    emulation::RunGrid(dim3(kLast + 1, 3), dim3(1), 0, note);
    EXPECT_EQ(take(), (std::vector<uint64_t>{0, 1, 2ull << 32 | (kLast - 1),
                                             2ull << 32 | kLast}));
    RunBlocks(3, 1, note);
    EXPECT_EQ(take(), (std::vector<uint64_t>{0, 1, 2}));
  }
  RunBlocks(6, 1, note);
  EXPECT_EQ(take().size(), 6u);
}

#if EMULATION_ASAN
// Memory whose end AddressSanitizer knows.
float* DeviceFloats(size_t n) {
  void* p = nullptr;
  EXPECT_EQ(cudaMalloc(&p, n * sizeof(float)), cudaSuccess);
  return static_cast<float*>(p);
}

TEST(EmulationDeathTest, FindsAnOverrunOfGlobalMemory) {
  float* p = DeviceFloats(100);
  EXPECT_DEATH(RunBlocks(1, 128, [p] { p[threadIdx.x] = 1.0f; }),
               "heap-buffer-overflow");
  cudaFree(p);
}

TEST(EmulationDeathTest, FindsAnOverrunOfSharedMemory) {
  EXPECT_DEATH(RunBlocks(1, 64,
                         [] {
                           EISBACH_SHARED(float, shared, [60]);
                           float* const any = shared;
                           any[threadIdx.x] = 1.0f;
                         }),
               "heap-buffer-overflow");
}

TEST(EmulationDeathTest, FindsAMisalignedVector) {
  float* p = DeviceFloats(100);
  EXPECT_DEATH(
      RunBlocks(
          1, 1,
          [p] { *reinterpret_cast<float4*>(p + 1) = make_float4(1, 2, 3, 4); }),
      "misaligned address");
  cudaFree(p);
}
#endif

// Each thread reads what its neighbour wrote, with or without a barrier.
void ReadNeighbours(bool barrier, std::vector<int>& out) {
  RunBlocks(1, 64, [&out, barrier] {
    EISBACH_SHARED(int, shared, [64]);
    shared[threadIdx.x] = static_cast<int>(threadIdx.x);
    if (barrier) __syncthreads();
    out[threadIdx.x] = shared[(threadIdx.x + 33) % 64];
  });
}

// Each block writes an element of its own, or all the same one.
void WriteBlocks(bool own, std::vector<int>& out) {
  RunBlocks(4, 32, [&out, own] {
    if (threadIdx.x == 0) {
      out[own ? blockIdx.x : 0] = static_cast<int>(blockIdx.x);
    }
  });
}

// Without races ThreadSanitizer has nothing to say, or the program fails.
TEST(Emulation, IsQuietAboutCorrectKernels) {
  std::vector<int> out(64);
  ReadNeighbours(true, out);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], (i + 33) % 64);
  WriteBlocks(true, out);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(out[i], i);
}

#if EMULATION_TSAN
TEST(EmulationDeathTest, FindsAMissingBarrier) {
  std::vector<int> out(64);
  EXPECT_EXIT(
      {
        ReadNeighbours(false, out);
        std::exit(0);
      },
      kFault, "data race");
}

TEST(EmulationDeathTest, FindsARaceBetweenBlocks) {
  std::vector<int> out(4);
  EXPECT_EXIT(
      {
        WriteBlocks(false, out);
        std::exit(0);
      },
      kFault, "data race");
}
#endif

}  // namespace
}  // namespace eisbach::emulation_test
