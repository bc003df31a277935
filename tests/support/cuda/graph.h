#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "support/cuda/stream_types.h"

// Stream capture. A captured stream, and those that wait for an event of it,
// give their work to a graph; cudaGraphLaunch runs that in an order that chance
// chooses among those that the streams and events of the capture allow: so a
// dependency that the capture lacks shows as wrong values.
namespace eisbach::doubles {

struct Graph {
  struct Node {
    MakeWork make;
    std::vector<size_t> after;  // earlier nodes
  };
  std::vector<Node> nodes;
  Stream* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool invalid = false;
  bool ended = false;
};

inline bool Capturing(const Stream& stream) {
  return stream.capture != nullptr;
}
cudaError_t AddToGraph(Stream& stream, MakeWork make);
// Whether a capture makes calls of this thread that wait for the device,
// allocate or free illegal; one that is made nevertheless loses the capture.
bool CaptureForbids();
cudaError_t RefuseInCapture(const char* call);
// Whether `event` was recorded last in a capture; asking it or waiting for it
// on the host is an error then, and loses the capture if that goes on.
bool RefuseCaptured(const char* call, const CUevent_st& event);

}  // namespace eisbach::doubles
