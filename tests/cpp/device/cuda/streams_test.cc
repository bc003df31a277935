// The double of the CUDA runtime: that streams are as asynchronous as on a
// device, so that a missing wait shows, and that what is illegal while a stream
// captures is refused.
#include "support/cuda/streams.h"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "device/cuda/portable.h"
#include "support/cuda/host_access.h"

namespace eisbach::streams_test {
namespace {

constexpr int kTries = 50;  // of what chance decides

__global__ void AddOne(int* x) { ++*x; }
__global__ void CopyOne(const int* from, int* to) { *to = *from; }

class StreamsTest : public testing::Test {
 protected:
  StreamsTest() {
    for (cudaStream_t* stream : {&a_, &b_}) {
      Check(cudaStreamCreateWithPriority(stream, cudaStreamNonBlocking, 0));
    }
    Check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming));
    for (int** p : {&x_, &y_}) {
      Check(cudaMalloc(reinterpret_cast<void**>(p), sizeof(int)));
    }
    Check(cudaMallocHost(reinterpret_cast<void**>(&host_), sizeof(int)));
  }
  ~StreamsTest() override {
    for (cudaStream_t stream : {a_, b_}) Check(cudaStreamDestroy(stream));
    Check(cudaEventDestroy(event_));
    for (int* p : {x_, y_}) Check(cudaFree(p));
    Check(cudaFreeHost(host_));
    cudaGetLastError();
  }

  static void Check(cudaError_t error) { EXPECT_EQ(error, cudaSuccess); }
  static void Launch(cudaStream_t stream, void (*kernel)(int*), int* x) {
    Check(cuda::Launch({dim3(1), dim3(1), stream}, kernel, x));
  }

  void Set(int* device, int value) {
    *host_ = value;
    Check(cudaMemcpyAsync(device, host_, sizeof(int), cudaMemcpyHostToDevice,
                          a_));
    Check(cudaStreamSynchronize(a_));
  }
  int Get(const int* device) {
    Check(cudaMemcpyAsync(host_, device, sizeof(int), cudaMemcpyDeviceToHost,
                          a_));
    Check(cudaStreamSynchronize(a_));
    return *host_;
  }

  // Of the capture that stream a began.
  cudaGraphExec_t EndCapture() {
    cudaGraph_t graph = nullptr;
    Check(cudaStreamEndCapture(a_, &graph));
    cudaGraphExec_t exec = nullptr;
    Check(cudaGraphInstantiate(&exec, graph, 0));
    Check(cudaGraphDestroy(graph));
    return exec;
  }

  // How often stream b read what three kernels of stream a had not yet written.
  int StaleReads(bool wait) {
    int stale = 0;
    for (int i = 0; i < kTries; ++i) {
      Set(x_, 0);
      for (int k = 0; k < 3; ++k) Launch(a_, AddOne, x_);
      Check(cudaEventRecord(event_, a_));
      if (wait) Check(cudaStreamWaitEvent(b_, event_, 0));
      Check(cuda::Launch({dim3(1), dim3(1), b_}, CopyOne, x_, y_));
      Check(cudaStreamSynchronize(b_));
      Check(cudaStreamSynchronize(a_));
      stale += Get(y_) != 3;
    }
    return stale;
  }

  cudaStream_t a_ = nullptr, b_ = nullptr;
  cudaEvent_t event_ = nullptr;
  int *x_ = nullptr, *y_ = nullptr, *host_ = nullptr;
};

TEST_F(StreamsTest, AMissingWaitReadsStaleData) {
  EXPECT_GT(StaleReads(/*wait=*/false), 0);
}

TEST_F(StreamsTest, AWaitForAnEventOrdersStreams) {
  EXPECT_EQ(StaleReads(/*wait=*/true), 0);
}

// Events come from a pool: one that has waiters is recorded again elsewhere.
TEST_F(StreamsTest, WhoWaitsForAnEventWaitsForWhatItWasThen) {
  for (int i = 0; i < kTries; ++i) {
    Set(x_, 0);
    for (int k = 0; k < 3; ++k) Launch(a_, AddOne, x_);
    Check(cudaEventRecord(event_, a_));
    Check(cudaStreamWaitEvent(b_, event_, 0));
    Check(cuda::Launch({dim3(1), dim3(1), b_}, CopyOne, x_, y_));
    Check(cudaEventRecord(event_, b_));
    Check(cudaStreamWaitEvent(a_, event_, 0));
    Launch(a_, AddOne, x_);
    Check(cudaEventRecord(event_, a_));
    Check(cudaEventSynchronize(event_));
    EXPECT_EQ(Get(y_), 3);
    EXPECT_EQ(Get(x_), 4);
  }
}

TEST_F(StreamsTest, HostMemoryThatChangesTooEarlyShows) {
  int wrong = 0;
  for (int i = 0; i < kTries; ++i) {
    *host_ = 1;
    Check(cudaMemcpyAsync(x_, host_, sizeof(int), cudaMemcpyHostToDevice, a_));
    *host_ = 2;
    Check(cudaStreamSynchronize(a_));
    wrong += Get(x_) != 1;
  }
  EXPECT_GT(wrong, 0);
}

TEST_F(StreamsTest, ACopyToPageableMemoryHoldsTheHostUp) {
  Set(x_, 5);
  int64_t& waits = doubles::counters().host_synchronisations;
  int64_t before = waits;
  Check(cudaMemcpyAsync(host_, x_, sizeof(int), cudaMemcpyDeviceToHost, a_));
  EXPECT_EQ(waits, before);
  Check(cudaStreamSynchronize(a_));
  before = waits;
  int pageable = 0;
  Check(
      cudaMemcpyAsync(&pageable, x_, sizeof(int), cudaMemcpyDeviceToHost, a_));
  EXPECT_EQ(waits, before + 1);
  EXPECT_EQ(pageable, 5);
}

// Once is to look; again and again is to wait.
TEST_F(StreamsTest, PollingHoldsTheHostUp) {
  int64_t& waits = doubles::counters().host_synchronisations;
  const int64_t before = waits;
  int unready = 0;
  for (int i = 0; i < kTries; ++i) {
    Launch(a_, AddOne, x_);
    Check(cudaEventRecord(event_, a_));
    unready += cudaEventQuery(event_) == cudaErrorNotReady;
  }
  EXPECT_GT(unready, 0);
  EXPECT_EQ(waits, before);
  int asked = 0;
  for (int i = 0; i < kTries; ++i) {
    Check(cudaEventRecord(event_, a_));
    for (bool first = true; cudaEventQuery(event_) == cudaErrorNotReady;
         first = false) {
      asked += !first;
    }
  }
  EXPECT_GT(asked, 0);
  EXPECT_EQ(waits, before + asked);
}

TEST_F(StreamsTest, FreeingMemoryHoldsTheHostUp) {
  int64_t& waits = doubles::counters().host_synchronisations;
  void* memory = nullptr;
  Check(cudaMalloc(&memory, 1));
  const int64_t before = waits;
  Check(cudaFree(memory));
  EXPECT_EQ(waits, before + 1);
}

TEST_F(StreamsTest, MemoryClosedToTheHostIsTheDevices) {
  constexpr size_t kBytes = 1 << 16;
  int* memory = nullptr;
  Check(cudaMalloc(reinterpret_cast<void**>(&memory), kBytes));
  Set(memory, 3);
  {
    const doubles::ClosedToHost closed;
    Launch(a_, AddOne, memory);
    EXPECT_EQ(Get(memory), 4);
    EXPECT_EXIT(std::printf("%d", *memory), testing::ExitedWithCode(67),
                "the host reads or writes device memory");
    EXPECT_EXIT(*memory = 5, testing::ExitedWithCode(67),
                "the host reads or writes device memory");
  }
  EXPECT_EQ(*memory, 4);
  Check(cudaFree(memory));
}

TEST_F(StreamsTest, NewMemoryHoldsNoZeros) {
  unsigned char bytes[sizeof(int)] = {};
  Check(cudaMemcpyAsync(bytes, y_, sizeof(int), cudaMemcpyDeviceToHost, a_));
  for (unsigned char byte : bytes) EXPECT_EQ(byte, 0xff);
}

TEST_F(StreamsTest, RefusesTheDefaultStreamAndWrongKindsOfMemory) {
  EXPECT_NE(cuda::Launch({dim3(1), dim3(1), nullptr}, AddOne, x_), cudaSuccess);
  EXPECT_NE(cudaMemcpyAsync(x_, y_, sizeof(int), cudaMemcpyHostToDevice, a_),
            cudaSuccess);
}

TEST_F(StreamsTest, ACapturedGraphReplays) {
  Set(x_, 0);
  Check(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal));
  Launch(a_, AddOne, x_);
  // A branch on another stream that comes back.
  Check(cudaEventRecord(event_, a_));
  Check(cudaStreamWaitEvent(b_, event_, 0));
  Launch(b_, AddOne, x_);
  Check(cudaEventRecord(event_, b_));
  Check(cudaStreamWaitEvent(a_, event_, 0));
  cudaGraphExec_t exec = EndCapture();
  EXPECT_EQ(Get(x_), 0);  // nothing has run yet
  for (int i = 0; i < 3; ++i) Check(cudaGraphLaunch(exec, a_));
  EXPECT_EQ(Get(x_), 6);
  Check(cudaGraphExecDestroy(exec));
}

// A graph is run in any order that its streams and events allow.
TEST_F(StreamsTest, AGraphHasNoOrderButItsOwn) {
  for (const bool wait : {false, true}) {
    int stale = 0;
    for (int i = 0; i < kTries; ++i) {
      Set(x_, 0);
      Check(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal));
      Check(cudaEventRecord(event_, a_));
      Check(cudaStreamWaitEvent(b_, event_, 0));
      for (int k = 0; k < 3; ++k) Launch(a_, AddOne, x_);
      if (wait) Check(cudaEventRecord(event_, a_));
      if (wait) Check(cudaStreamWaitEvent(b_, event_, 0));
      Check(cuda::Launch({dim3(1), dim3(1), b_}, CopyOne, x_, y_));
      Check(cudaEventRecord(event_, b_));
      Check(cudaStreamWaitEvent(a_, event_, 0));
      cudaGraphExec_t exec = EndCapture();
      Check(cudaGraphLaunch(exec, a_));
      stale += Get(y_) != 3;
      Check(cudaGraphExecDestroy(exec));
    }
    EXPECT_EQ(stale == 0, wait) << stale;
  }
}

// An event that was recorded in a capture stands for a node of the graph: it
// can be asked nothing, during the capture and after it.
TEST_F(StreamsTest, AnEventOfACaptureAnswersNothing) {
  const auto capture = [&](cudaError_t (*ask)(cudaEvent_t)) {
    Check(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal));
    Launch(a_, AddOne, x_);
    Check(cudaEventRecord(event_, a_));
    if (ask != nullptr) {
      EXPECT_EQ(ask(event_), cudaErrorCapturedEvent);
    }
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph),
              ask == nullptr ? cudaSuccess : cudaErrorStreamCaptureInvalidated);
    return graph;
  };
  capture(&cudaEventQuery);
  capture(&cudaEventSynchronize);
  cudaGraph_t graph = capture(nullptr);
  EXPECT_EQ(cudaEventQuery(event_), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaStreamWaitEvent(b_, event_, 0), cudaErrorCapturedEvent);
  Check(cudaEventRecord(event_, a_));
  Check(cudaEventSynchronize(event_));
  Check(cudaGraphDestroy(graph));
}

// Another thread goes on while this one captures for itself alone, and so does
// this one where it says that it knows what it does.
TEST_F(StreamsTest, AThreadLocalCaptureLeavesOthersAlone) {
  Check(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal));
  Launch(a_, AddOne, x_);
  void* memory = nullptr;
  std::thread([&] { Check(cudaMalloc(&memory, 16)); }).join();
  void* more = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  Check(cudaThreadExchangeStreamCaptureMode(&mode));
  Check(cudaMalloc(&more, 16));
  Check(cudaThreadExchangeStreamCaptureMode(&mode));
  cudaGraph_t graph = nullptr;
  Check(cudaStreamEndCapture(a_, &graph));
  Check(cudaGraphDestroy(graph));
  Check(cudaFree(memory));
  Check(cudaFree(more));
}

TEST_F(StreamsTest, ABranchThatDoesNotComeBackFailsTheCapture) {
  Check(cudaStreamBeginCapture(a_, cudaStreamCaptureModeThreadLocal));
  Launch(a_, AddOne, x_);
  Check(cudaEventRecord(event_, a_));
  Check(cudaStreamWaitEvent(b_, event_, 0));
  Launch(b_, AddOne, x_);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(a_, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
}

// What waits for the device, allocates, or waits for work from outside the
// capture is illegal in it, and loses it.
TEST_F(StreamsTest, IllegalCallsLoseTheCapture) {
  Check(cudaEventRecord(event_, b_));
  void* memory = nullptr;
  int pageable = 0;
  const std::function<cudaError_t()> calls[] = {
      [&] { return cudaStreamSynchronize(b_); },
      [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaEventSynchronize(event_); },
      [&] { return cudaMalloc(&memory, 16); },
      [&] { return cudaFree(x_); },
      [&] {
        return cudaMemcpyAsync(&pageable, x_, sizeof(int),
                               cudaMemcpyDeviceToHost, a_);
      },
      [&] { return cudaStreamWaitEvent(a_, event_, 0); },
  };
  for (const auto& call : calls) {
    Check(cudaStreamBeginCapture(a_, cudaStreamCaptureModeGlobal));
    Launch(a_, AddOne, x_);
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(a_, &graph),
              cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  }
}

}  // namespace
}  // namespace eisbach::streams_test
