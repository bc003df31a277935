#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/machine.h"

namespace eisbach {

// A way between devices; its speed is in GB (10^9) a second one way, 0 where
// nobody tells.
struct Link {
  std::string name;  // "NVLink", "PCIe", "memory"
  double gigabytes = 0;
};

// Where a device is among the others of a job.
struct DeviceLocation {
  std::string name;  // "NVIDIA GB200", the processor's on cpu
  std::string uuid;  // of a GPU
  std::string pci;   // "0000:1b:00.0" of a GPU
  // Devices of the same domain reach one another over `domain_link`: GPUs over
  // NVLink, cpu ranks in the memory of their host. Its name holds within the
  // host, unless the domain may span hosts: then in the whole job.
  std::string domain;
  bool domain_spans_hosts = false;
  std::string domain_source;  // how that is known, or why it is not
  Link domain_link;
  Link host_link;                        // to the rest of the host
  std::vector<NetworkAdapter> adapters;  // the closest ones
  int numa_node = -1;                    // -1: not known
  // Bytes of a GPU; on cpu of the host, or of this process's part of it where
  // that is limited. 0: not known.
  int64_t memory = 0;
};

// Where `device` is. Never fails: a device about which nothing can be learnt is
// a domain of its own, and `domain_source` says why.
DeviceLocation LocationOf(Device& device);

// Lets the calling thread, and threads it makes from now on, run on those of
// its cores that are at a GPU's NUMA node. A binding that leaves none there is
// respected; on cpu nothing changes.
void BindNear(Device& device);

// Called once by a backend whose devices are more than a part of the host.
bool RegisterLocator(DeviceType type, DeviceLocation (*locate)(Device&));

}  // namespace eisbach
