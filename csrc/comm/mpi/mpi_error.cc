#include "comm/mpi/mpi_error.h"

#include "absl/strings/str_cat.h"

namespace eisbach::comm {

absl::Status MpiStatus(int code, absl::string_view call) {
  if (code == MPI_SUCCESS) return absl::OkStatus();
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) length = 0;
  return absl::UnavailableError(absl::StrCat(
      call, ": ", absl::string_view(text, length), " (code ", code, ")"));
}

}  // namespace eisbach::comm
