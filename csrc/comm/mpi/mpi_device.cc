#include "comm/mpi/mpi_device.h"

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

absl::StatusOr<std::shared_ptr<Device>> MakeGpu(const MpiHost& host) {
  EISBACH_ASSIGN_OR_RETURN(const int gpus, CountDevices(DeviceType::kCuda));
  const char* sharing = std::getenv("EISBACH_GPU_SHARING");
  const bool shared = sharing != nullptr && std::strcmp(sharing, "1") == 0;
  if (host.size() > gpus && !shared) {
    return absl::InvalidArgumentError(absl::StrCat(
        "device cuda: this host has ", host.size(), " ranks and ", gpus,
        gpus == 1 ? " GPU" : " GPUs", "; start at most one rank for each"));
  }
  return MakeDevice(DeviceType::kCuda, host.rank() % gpus);
}

// OK when `mine` is OK on all ranks, else the error of the first that failed.
absl::Status Agree(const absl::Status& mine) {
  std::string line(512, '\0');
  if (!mine.ok()) {
    line[0] = static_cast<char>(mine.code());
    mine.message().copy(&line[1], line.size() - 2);
  }
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           GatherOver(MPI_COMM_WORLD, line));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank][0] == 0) continue;
    return absl::Status(
        static_cast<absl::StatusCode>(all[rank][0]),
        absl::StrCat("rank ", rank, ": ", all[rank].c_str() + 1));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<Device>> MakeRankDevice(DeviceType type,
                                                       const MpiHost& host) {
  absl::StatusOr<std::shared_ptr<Device>> device =
      type == DeviceType::kCuda ? MakeGpu(host) : MakeDevice(type);
  EISBACH_RETURN_IF_ERROR(Agree(device.status()));
  return device;
}

}  // namespace eisbach::comm
