#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "support/cuda/streams.h"

// What CUDA's opaque handles point to in the doubles.

namespace eisbach::doubles {
// One call of cudaEventRecord: who waits, waits for the one that was the
// event's last when it asked, also where the event has been recorded again
// since.
struct EventRecord {
  bool done = false;
  double milliseconds = 0;
};
struct Graph;
}  // namespace eisbach::doubles

struct CUstream_st {
  int device = 0;
  int priority = 0;
  std::deque<eisbach::doubles::Work> queue;
  bool running = false;
  // While work goes to a graph instead of the queue.
  std::shared_ptr<eisbach::doubles::Graph> capture;
  // The nodes of the graph that its next work comes after.
  std::vector<size_t> tail;
};

struct CUevent_st {
  int device = 0;
  bool timed = true;
  std::shared_ptr<eisbach::doubles::EventRecord> record;  // null: none yet
  // The capture in which it was recorded last, and the nodes it stands for.
  std::weak_ptr<eisbach::doubles::Graph> capture;
  std::vector<size_t> tail;
};

namespace eisbach::doubles {
using Stream = CUstream_st;
std::set<Stream*>& Streams();
}  // namespace eisbach::doubles
