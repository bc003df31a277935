#include <dlfcn.h>
#include <nccl.h>
#include <nccl_device/host.h>

#include "absl/strings/str_cat.h"
#include "comm/nccl/nccl_communicator.h"
#include "comm/nccl/nccl_status.h"
#include "core/status_macros.h"

namespace eisbach::comm {

absl::StatusOr<Interconnect> NcclCommunicator::interconnect() {
  int version = 0;
  EISBACH_RETURN_IF_NCCL(ncclGetVersion(&version));
  // Found by name, as the oldest libraries have no such function. An older
  // one than the headers would answer in another form.
  const auto query = reinterpret_cast<decltype(&ncclCommQueryProperties)>(
      dlsym(RTLD_DEFAULT, "ncclCommQueryProperties"));
  if (version < NCCL_VERSION_CODE || query == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat("NCCL ", version, " does not tell what it uses; ",
                     NCCL_VERSION_CODE, " does"));
  }
  ncclCommProperties_t properties = NCCL_COMM_PROPERTIES_INITIALIZER;
  EISBACH_RETURN_IF_ERROR(group_->Call("interconnect", [&](ncclComm_t comm) {
    return query(comm, &properties);
  }));
  return Interconnect{.multimem = properties.multimemSupport,
                      .nvlink_domains = properties.nLsaTeams};
}

}  // namespace eisbach::comm
