#include "support/cuda/graph.h"

#include <cstdio>
#include <vector>

using eisbach::doubles::AnyCapture;
using eisbach::doubles::Capturing;
using eisbach::doubles::Enqueue;
using eisbach::doubles::Graph;
using eisbach::doubles::Lock;
using eisbach::doubles::Streams;
using eisbach::doubles::Work;

struct CUgraph_st {
  std::shared_ptr<Graph> graph;
};
struct CUgraphExec_st {
  std::shared_ptr<Graph> graph;
};

namespace eisbach::doubles {

cudaError_t AddToGraph(Stream& stream, Work work) {
  // Work is a state machine of one use: a graph keeps copies.
  stream.capture->nodes.push_back([work = std::move(work)] { return work; });
  return cudaSuccess;
}

bool AnyCapture() {
  for (const Stream* stream : Streams()) {
    if (Capturing(*stream)) return true;
  }
  return false;
}

cudaError_t RefuseInCapture(const char* call) {
  std::fprintf(stderr, "cuda double: %s is illegal during capture\n", call);
  for (Stream* stream : Streams()) {
    if (Capturing(*stream)) stream->capture->invalid = true;
  }
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace eisbach::doubles

extern "C" {

cudaError_t CUDARTAPI cudaStreamBeginCapture(cudaStream_t stream,
                                             cudaStreamCaptureMode) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  if (stream == nullptr || Capturing(*stream)) {
    return cudaErrorIllegalState;
  }
  stream->capture = std::make_shared<Graph>();
  stream->capture->origin = stream;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamEndCapture(cudaStream_t stream,
                                           cudaGraph_t* graph) {
  std::lock_guard<std::recursive_mutex> lock(Lock());
  *graph = nullptr;
  if (stream == nullptr || !Capturing(*stream)) return cudaErrorIllegalState;
  std::shared_ptr<Graph> captured = stream->capture;
  bool unjoined = false;
  for (CUstream_st* other : Streams()) {
    if (other->capture != captured) continue;
    other->capture.reset();
    unjoined |= other != stream && other->joined_at != captured->nodes.size();
  }
  if (captured->invalid) return cudaErrorStreamCaptureInvalidated;
  if (unjoined) return cudaErrorStreamCaptureUnjoined;
  *graph = new CUgraph_st{std::move(captured)};
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamIsCapturing(cudaStream_t stream,
                                            cudaStreamCaptureStatus* status) {
  *status = stream != nullptr && Capturing(*stream)
                ? cudaStreamCaptureStatusActive
                : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGraphInstantiate(cudaGraphExec_t* exec,
                                           cudaGraph_t graph,
                                           unsigned long long) {
  *exec = new CUgraphExec_st{graph->graph};
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t CUDARTAPI cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*,
                                        size_t* count) {
  *count = graph->graph->nodes.size();
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaGraphLaunch(cudaGraphExec_t exec,
                                      cudaStream_t stream) {
  ++eisbach::doubles::counters().graph_launches;
  auto next = std::make_shared<size_t>(0);
  auto running = std::make_shared<Work>();
  return Enqueue(stream, [graph = exec->graph, next, running] {
    while (*next < graph->nodes.size()) {
      if (!*running) *running = graph->nodes[*next]();
      if (!(*running)()) return false;
      *running = nullptr;
      ++*next;
    }
    return true;
  });
}

}  // extern "C"
