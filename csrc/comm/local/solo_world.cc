#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "comm/backends.h"
#include "comm/local/local_communicator.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/threads.h"
#include "device/location.h"

namespace eisbach::comm {
namespace {

class SoloWorldImpl final : public World {
 public:
  explicit SoloWorldImpl(std::shared_ptr<Device> device)
      : device_(std::move(device)),
        communicator_(std::make_unique<LocalCommunicator>(
            std::make_shared<LocalGroup>(std::make_shared<LocalJob>(1),
                                         std::vector<int>{0}),
            0, "world", device_)) {}

  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  int compute_threads() const override {
    return ShareOfCores({FindCoreLimits()}, 0);
  }
  absl::string_view backend() const override { return "local"; }
  Device& device() const override { return *device_; }
  Communicator& communicator() const override { return *communicator_; }
  void Abort(int code, absl::string_view cause) override {
    if (!cause.empty()) LogLine(cause);
    std::fflush(nullptr);
    std::_Exit(code);
  }

 private:
  absl::Status DoFinalize(absl::Duration) override { return absl::OkStatus(); }

  const std::shared_ptr<Device> device_;
  const std::unique_ptr<Communicator> communicator_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<World>> SoloWorld(DeviceType device) {
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Device> made, MakeDevice(device));
  BindNear(*made);
  return std::make_unique<SoloWorldImpl>(std::move(made));
}

}  // namespace eisbach::comm
