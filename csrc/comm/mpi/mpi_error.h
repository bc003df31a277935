#pragma once

#include <mpi.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace eisbach::comm {

// OK for MPI_SUCCESS, else "MPI_Isend: <the text of MPI>".
absl::Status MpiStatus(int code, absl::string_view call);

}  // namespace eisbach::comm

// Early return when an MPI call fails: EISBACH_RETURN_IF_MPI(MPI_Barrier, comm)
#define EISBACH_RETURN_IF_MPI(function, ...) \
  EISBACH_RETURN_IF_ERROR(                   \
      ::eisbach::comm::MpiStatus(function(__VA_ARGS__), #function))
