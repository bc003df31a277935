#include <nccl.h>

#include <cstring>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "comm/backends.h"
#include "comm/nccl/nccl_communicator.h"
#include "comm/nccl/nccl_status.h"
#include "comm/nccl/unique_ids.h"
#include "core/components.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// The oldest library that offers what is called here.
constexpr int kOldest = NCCL_VERSION(2, 27, 0);

std::string VersionText(int version) {
  return absl::StrCat(version / 10000, ".", version / 100 % 100, ".",
                      version % 100);
}

std::string LoadedVersion() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "NCCL of no version";
  return absl::StrCat("NCCL ", VersionText(version));
}

absl::Status CheckVersion() {
  int version = 0;
  EISBACH_RETURN_IF_NCCL(ncclGetVersion(&version));
  if (version >= kOldest) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "NCCL ", VersionText(version), " is loaded, and ", VersionText(kOldest),
      " or later is needed (is an older libnccl.so.2 in LD_LIBRARY_PATH?)"));
}

class NcclFabric final : public Fabric {
 public:
  explicit NcclFabric(FabricPlace place)
      : place_(std::move(place)),
        watchdog_(std::make_shared<Watchdog>(
            std::static_pointer_cast<cuda::CudaDevice>(place_.device))),
        segments_(std::make_shared<Segments>()) {}

  absl::StatusOr<std::unique_ptr<Communicator>> Connect() override {
    EISBACH_ASSIGN_OR_RETURN(std::vector<ncclUniqueId> ids, ShareIds());
    auto group = std::make_unique<NcclGroup>("world", watchdog_);
    EISBACH_RETURN_IF_ERROR(
        group->Init(place_.rank, place_.size, std::move(ids)));
    place_.device->SetSharedSource(std::make_unique<NcclMemory>(segments_));
    return std::make_unique<NcclCommunicator>(std::move(group), "world",
                                              place_.device, segments_);
  }

  void Close() override { watchdog_->CloseAll(); }

  void Abort(absl::Status cause) override {
    watchdog_->Abort(std::move(cause));
  }

 private:
  absl::StatusOr<std::vector<ncclUniqueId>> ShareIds() {
    const std::vector<int> makers = RanksWithId(place_.size);
    ncclUniqueId mine = {};
    if (absl::c_linear_search(makers, place_.rank)) {
      EISBACH_RETURN_IF_NCCL(ncclGetUniqueId(&mine));
    }
    EISBACH_ASSIGN_OR_RETURN(
        const std::vector<std::string> all,
        place_.gather(std::string(mine.internal, sizeof(mine.internal))));
    std::vector<ncclUniqueId> ids(makers.size());
    for (size_t i = 0; i < makers.size(); ++i) {
      std::memcpy(ids[i].internal, all[makers[i]].data(), sizeof(ncclUniqueId));
    }
    return ids;
  }

  const FabricPlace place_;
  const std::shared_ptr<Watchdog> watchdog_;
  const std::shared_ptr<Segments> segments_;
};

[[maybe_unused]] const bool registered = RegisterFabric(
    DeviceType::kCuda,
    [](FabricPlace place) -> absl::StatusOr<std::shared_ptr<Fabric>> {
      EISBACH_RETURN_IF_ERROR(CheckVersion());
      return std::make_shared<NcclFabric>(std::move(place));
    });
[[maybe_unused]] const bool described =
    RegisterComponent("nccl", &LoadedVersion);

}  // namespace
}  // namespace eisbach::comm
