#pragma once

#include <functional>

// Whether the host keeps its hands off device memory. In the doubles both are
// one, so that a launcher that reads a device's value works there, and ends a
// program on a GPU.
namespace eisbach::doubles {

// While one lives, code of the host that reads or writes device memory ends the
// process and says so; what runs in streams may. For one rank: MPI reads the
// memory of several whenever it likes. One at a time.
class ClosedToHost {
 public:
  ClosedToHost();
  ~ClosedToHost();
  ClosedToHost(const ClosedToHost&) = delete;
  ClosedToHost& operator=(const ClosedToHost&) = delete;
};

// Runs what a stream does.
bool WithDeviceMemory(const std::function<bool()>& work);

}  // namespace eisbach::doubles
