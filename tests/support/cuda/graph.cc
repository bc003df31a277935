#include "support/cuda/graph.h"

#include <algorithm>
#include <cstdio>
#include <vector>

using namespace eisbach::doubles;
using Guard = std::lock_guard<std::recursive_mutex>;

struct CUgraph_st {
  std::shared_ptr<Graph> graph;
};
struct CUgraphExec_st {
  std::shared_ptr<Graph> graph;
};

namespace eisbach::doubles {
namespace {

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

// What must have run when everything in `nodes` has.
std::vector<bool> Ancestors(const Graph& graph,
                            const std::vector<size_t>& nodes) {
  std::vector<bool> in(graph.nodes.size());
  for (size_t node : nodes) in[node] = true;
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    if (!in[i]) continue;
    for (size_t before : graph.nodes[i].after) in[before] = true;
  }
  return in;
}

// A launch of a graph.
class Launch {
 public:
  explicit Launch(const Graph& graph)
      : next_(graph.nodes.size()), open_(graph.nodes.size()) {
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      // Made now: what is launched first has its turn first.
      works_.push_back(graph.nodes[i].make());
      open_[i] = graph.nodes[i].after.size();
      for (size_t before : graph.nodes[i].after) next_[before].push_back(i);
      if (open_[i] == 0) ready_.push_back(i);
    }
  }

  // Goes on as far as it can; whether all is done.
  bool Go() {
    bool any = true;
    while (any && !ready_.empty()) {
      any = false;
      const size_t tries = ready_.size();
      for (size_t i = 0; i < tries && !any; ++i) {
        std::swap(ready_[i], ready_[i + Chance() % (ready_.size() - i)]);
        any = works_[ready_[i]]();
        if (any) Done(i);
      }
    }
    return ready_.empty();
  }

 private:
  void Done(size_t place) {
    const size_t node = ready_[place];
    ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(place));
    works_[node] = nullptr;
    for (size_t next : next_[node]) {
      if (--open_[next] == 0) ready_.push_back(next);
    }
  }

  std::vector<Work> works_;
  std::vector<std::vector<size_t>> next_;
  std::vector<size_t> open_;  // how many a node still waits for
  std::vector<size_t> ready_;
};

}  // namespace

cudaError_t AddToGraph(Stream& stream, MakeWork make) {
  stream.capture->nodes.push_back({std::move(make), stream.tail});
  stream.tail = {stream.capture->nodes.size() - 1};
  return cudaSuccess;
}

bool CaptureForbids() {
  if (thread_mode == cudaStreamCaptureModeRelaxed) return false;
  for (const Stream* stream : Streams()) {
    if (!Capturing(*stream)) continue;
    const Graph& graph = *stream->capture;
    if (graph.mode == cudaStreamCaptureModeGlobal ||
        (graph.mode == cudaStreamCaptureModeThreadLocal &&
         graph.thread == std::this_thread::get_id())) {
      return true;
    }
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

bool RefuseCaptured(const char* call, const CUevent_st& event) {
  const auto graph = event.capture.lock();
  if (graph == nullptr) return false;
  std::fprintf(stderr, "cuda double: %s of an event that a graph holds\n",
               call);
  graph->invalid |= !graph->ended;
  return true;
}

}  // namespace eisbach::doubles

extern "C" {

cudaError_t CUDARTAPI
cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamBeginCapture(cudaStream_t stream,
                                             cudaStreamCaptureMode mode) {
  Guard lock(Lock());
  if (stream == nullptr || Capturing(*stream)) {
    return cudaErrorIllegalState;
  }
  stream->capture = std::make_shared<Graph>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  stream->tail.clear();
  return cudaSuccess;
}

cudaError_t CUDARTAPI cudaStreamEndCapture(cudaStream_t stream,
                                           cudaGraph_t* graph) {
  Guard lock(Lock());
  *graph = nullptr;
  if (stream == nullptr || !Capturing(*stream)) return cudaErrorIllegalState;
  std::shared_ptr<Graph> captured = stream->capture;
  if (captured->origin != stream) return cudaErrorStreamCaptureUnmatched;
  if (captured->mode != cudaStreamCaptureModeRelaxed &&
      captured->thread != std::this_thread::get_id()) {
    return cudaErrorStreamCaptureWrongThread;
  }
  captured->ended = true;
  const std::vector<bool> joined = Ancestors(*captured, stream->tail);
  bool unjoined = false;
  for (CUstream_st* other : Streams()) {
    if (other->capture != captured) continue;
    other->capture.reset();
    for (size_t node : other->tail) unjoined |= !joined[node];
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
  Guard lock(Lock());
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
  Guard lock(Lock());
  ++counters().graph_launches;
  auto launch = std::make_shared<Launch>(*exec->graph);
  return Enqueue(stream, [launch] { return launch->Go(); });
}

}  // extern "C"
