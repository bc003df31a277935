#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/threads.h"

namespace eisbach {

// What Linux tells about the machine around a device. `sys` is where sysfs is
// mounted: "/sys", but in tests. Nothing here fails: what is not told is empty
// or -1.

std::string HostName();
std::string ProcessorName();  // "AMD EPYC 9575F 64-Core Processor"

// A PCI address as sysfs spells it, "0000:1b:00.0", of "00000000:1B:00.0".
std::string PciAddress(absl::string_view spelled);

int NumaNodeOf(const std::string& sys, absl::string_view pci);
CoreSet CoresOfNode(const std::string& sys, int node);
// "0-3,8" as sysfs and taskset write it, and back.
CoreSet ParseCores(absl::string_view list);
std::string CoresText(const CoreSet& cores);

// A network adapter; its speed is in GB (10^9) a second one way, 0 where the
// link is down or the driver does not tell.
struct NetworkAdapter {
  std::string name;  // "mlx5_0", "eth0"
  double gigabytes = 0;
};
// The adapters closest to a PCI device: below the same PCIe switch, else at the
// same NUMA node, else all. InfiniBand and RoCE where there are such, else
// Ethernet. Without a device (an empty `pci`) all of the host.
std::vector<NetworkAdapter> AdaptersNear(const std::string& sys,
                                         absl::string_view pci);

// Lets the calling thread, and threads it makes from now on, run on those of
// its cores that are at `node`; false, and nothing is changed, when none is or
// all are.
bool BindToNode(const std::string& sys, int node);

}  // namespace eisbach
