#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "support/cuda/stream_types.h"

// Stream capture. A captured stream, and those that wait for an event of it,
// give their work to a graph; cudaGraphLaunch runs that as one piece of work in
// the order of capture, which is one of the orders that a device may choose.
namespace eisbach::doubles {

struct Graph {
  std::vector<std::function<Work()>> nodes;  // each makes its work anew
  Stream* origin = nullptr;
  bool invalid = false;
};

inline bool Capturing(const Stream& stream) {
  return stream.capture != nullptr;
}
cudaError_t AddToGraph(Stream& stream, Work work);
// Whether any stream captures: then calls that wait for the device or allocate
// are illegal, and the capture is lost.
bool AnyCapture();
cudaError_t RefuseInCapture(const char* call);

}  // namespace eisbach::doubles
