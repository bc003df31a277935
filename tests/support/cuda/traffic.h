#pragma once

// The memory traffic of our kernels, counted: in the build whose kernels report
// each access (eisbach_cuda_traffic), the sectors of 32 bytes of device memory
// that a launch reads and writes. Each counts once a launch, as if the cache
// held everything that a kernel touches twice, and a sector that the launch
// itself has written is not read. In other builds nothing is counted.
namespace eisbach::doubles {

struct Traffic {
  double read = 0;  // bytes
  double written = 0;
};
// Since the program started.
Traffic& traffic();

// The life of one launch.
class TrafficOfLaunch {
 public:
  TrafficOfLaunch();
  ~TrafficOfLaunch();
  TrafficOfLaunch(const TrafficOfLaunch&) = delete;
  TrafficOfLaunch& operator=(const TrafficOfLaunch&) = delete;
};

}  // namespace eisbach::doubles
