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
struct EventRecord {
  uint64_t asked = 0;  // records that were enqueued
  uint64_t done = 0;   // and how many of them a stream has passed
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
  std::shared_ptr<eisbach::doubles::EventRecord> record =
      std::make_shared<eisbach::doubles::EventRecord>();
  // The capture in which it was recorded last, and the nodes it stands for.
  std::weak_ptr<eisbach::doubles::Graph> capture;
  std::vector<size_t> tail;
};

namespace eisbach::doubles {
using Stream = CUstream_st;
std::set<Stream*>& Streams();
}  // namespace eisbach::doubles
