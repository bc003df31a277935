#pragma once

#include <mpi.h>

#include <memory>

#include "absl/status/statusor.h"
#include "comm/mpi/mpi_host.h"
#include "device/device.h"

namespace eisbach::comm {

// The device of this rank: of several GPUs of a host that of its local rank.
// More ranks than GPUs are an error, but for EISBACH_GPU_SHARING=1 (tests),
// where they take turns. Collective over MPI_COMM_WORLD: when one rank has no
// device all of them get an error that names the first such rank.
absl::StatusOr<std::shared_ptr<Device>> MakeRankDevice(DeviceType type,
                                                       const MpiHost& host);

}  // namespace eisbach::comm
