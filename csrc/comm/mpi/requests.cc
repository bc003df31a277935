#include "comm/mpi/requests.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "comm/mpi/mpi_error.h"
#include "core/status_macros.h"

namespace eisbach::comm {

absl::Status Requests::Send(const void* data, int64_t bytes, int peer,
                            int tag) {
  int64_t at = 0;
  do {  // an empty tensor is an empty message
    const int64_t n = std::min(message_bytes_, bytes - at);
    EISBACH_RETURN_IF_MPI(MPI_Isend, static_cast<const char*>(data) + at,
                          static_cast<int>(n), MPI_BYTE, peer, tag, comm_,
                          &requests_.emplace_back(MPI_REQUEST_NULL));
    expected_.push_back(-1);
    at += n;
  } while (at < bytes);
  return absl::OkStatus();
}

absl::Status Requests::Receive(void* data, int64_t bytes, int peer, int tag) {
  int64_t at = 0;
  do {
    const int64_t n = std::min(message_bytes_, bytes - at);
    EISBACH_RETURN_IF_MPI(MPI_Irecv, static_cast<char*>(data) + at,
                          static_cast<int>(n), MPI_BYTE, peer, tag, comm_,
                          &requests_.emplace_back(MPI_REQUEST_NULL));
    expected_.push_back(static_cast<int>(n));
    at += n;
  } while (at < bytes);
  return absl::OkStatus();
}

absl::Status Requests::Broadcast(void* data, int64_t bytes, int root) {
  for (int64_t at = 0; at < bytes; at += message_bytes_) {
    const int64_t n = std::min(message_bytes_, bytes - at);
    EISBACH_RETURN_IF_MPI(MPI_Ibcast, static_cast<char*>(data) + at,
                          static_cast<int>(n), MPI_BYTE, root, comm_,
                          &requests_.emplace_back(MPI_REQUEST_NULL));
    expected_.push_back(-1);
  }
  return absl::OkStatus();
}

absl::Status Requests::Barrier() {
  expected_.push_back(-1);
  EISBACH_RETURN_IF_MPI(MPI_Ibarrier, comm_,
                        &requests_.emplace_back(MPI_REQUEST_NULL));
  return absl::OkStatus();
}

absl::StatusOr<bool> Requests::Test() {
  if (requests_.empty()) return true;
  statuses_.resize(requests_.size());
  int done = 0;
  const int code = MPI_Testall(static_cast<int>(requests_.size()),
                               requests_.data(), &done, statuses_.data());
  if (code == MPI_SUCCESS && !done) return false;
  EISBACH_RETURN_IF_ERROR(CheckStatuses(code));
  requests_.clear();
  expected_.clear();
  return true;
}

absl::Status Requests::CheckStatuses(int code) {
  if (code == MPI_ERR_IN_STATUS) {
    for (const MPI_Status& status : statuses_) {
      if (status.MPI_ERROR != MPI_ERR_PENDING) {
        EISBACH_RETURN_IF_ERROR(MpiStatus(status.MPI_ERROR, "MPI_Testall"));
      }
    }
  }
  EISBACH_RETURN_IF_ERROR(MpiStatus(code, "MPI_Testall"));
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (expected_[i] < 0) continue;
    int bytes = 0;
    EISBACH_RETURN_IF_MPI(MPI_Get_count, &statuses_[i], MPI_BYTE, &bytes);
    if (bytes != expected_[i]) {
      return absl::InvalidArgumentError(
          absl::StrCat("rank ", statuses_[i].MPI_SOURCE, " sent ", bytes,
                       " bytes where ", expected_[i], " are expected"));
    }
  }
  return absl::OkStatus();
}

}  // namespace eisbach::comm
