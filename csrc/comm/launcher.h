#pragma once

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace eisbach::comm {

// Who started this process as one of several, by its environment.
struct Launcher {
  std::string name;      // "Open MPI's mpirun", "PMIx", ...
  std::string evidence;  // the variable that says so: "OMPI_COMM_WORLD_SIZE=4"
  std::optional<int> ranks;
};

// Looks up an environment variable; null when it is not set.
using Environment = std::function<const char*(const char*)>;

// The launcher, or nothing when the process was started alone. An error when
// srun started several tasks and none can reach the others.
absl::StatusOr<std::optional<Launcher>> FindLauncher(
    const Environment& environment);

// Compares what the launcher announced with what MPI (`library` by its own
// account) found.
absl::Status CheckLauncher(const Launcher& launcher, int mpi_size,
                           absl::string_view library);

}  // namespace eisbach::comm
