#pragma once

#include "absl/status/statusor.h"
#include "comm/communicator.h"

namespace eisbach::comm {

// What NCCL has found for the ranks of a communicator. It tells what its
// kernels may use, not which algorithm a call will take.
struct NcclProperties {
  // Switches of the NVLink domain can add and multicast (NVLS).
  bool multimem = false;
  // How many NVLink domains the ranks lie in. One, with ranks on several
  // hosts, is multi-node NVLink in use.
  int nvlink_domains = 0;
};

// Unimplemented for a library older than the headers of this build, whose
// answer would have another form; InvalidArgument for other backends.
absl::StatusOr<NcclProperties> PropertiesOf(Communicator& communicator);

}  // namespace eisbach::comm
