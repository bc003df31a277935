#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/world.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

class SimCommunicator final : public Communicator {
 public:
  SimCommunicator(int rank, int size, std::string name,
                  std::shared_ptr<Device> device)
      : Communicator(rank, size, std::move(name), std::move(device)) {}

  absl::string_view transport() const override { return "none"; }

 private:
  bool compares_calls() const override { return true; }
  absl::Status DoAllReduce(const Tensor&, ReduceOp, Stream&) override {
    return absl::OkStatus();
  }
  absl::Status DoAllGather(const Tensor&, const Tensor&, Stream&) override {
    return absl::OkStatus();
  }
  absl::Status DoReduceScatter(const Tensor&, const Tensor&, ReduceOp,
                               Stream&) override {
    return absl::OkStatus();
  }
  absl::Status DoBroadcast(const Tensor&, int, Stream&) override {
    return absl::OkStatus();
  }
  absl::Status DoAllToAllV(const Tensor&, absl::Span<const int64_t>,
                           const Tensor&, absl::Span<const int64_t>,
                           Stream&) override {
    return absl::OkStatus();
  }
  absl::Status DoExchange(absl::Span<const Transfer>, Stream&) override {
    return absl::OkStatus();
  }
  absl::Status DoBarrier(Stream&) override { return absl::OkStatus(); }

  absl::StatusOr<std::unique_ptr<Communicator>> DoSplit(
      int color, int, std::string name) override {
    if (color < 0) return nullptr;
    if (size() > 1) {
      return absl::FailedPreconditionError(absl::StrCat(
          "split of \"", this->name(), "\" into \"", name,
          "\": a sim world does not know the other ranks' colors; use ",
          "Subgroup"));
    }
    return std::make_unique<SimCommunicator>(0, 1, std::move(name),
                                             device().shared_from_this());
  }
  absl::StatusOr<std::unique_ptr<Communicator>> DoSubgroup(
      absl::Span<const int> ranks, std::string name) override {
    if (ranks.empty()) return nullptr;
    const auto place = std::find(ranks.begin(), ranks.end(), rank());
    return std::make_unique<SimCommunicator>(
        static_cast<int>(place - ranks.begin()), static_cast<int>(ranks.size()),
        std::move(name), device().shared_from_this());
  }
};

class SimWorldImpl final : public World {
 public:
  SimWorldImpl(int rank, int size, std::shared_ptr<Device> device)
      : device_(std::move(device)),
        communicator_(
            std::make_unique<SimCommunicator>(rank, size, "world", device_)) {}

  int local_rank() const override { return communicator_->rank(); }
  int local_size() const override { return communicator_->size(); }
  int compute_threads() const override { return 1; }
  absl::string_view backend() const override { return "sim"; }
  Device& device() const override { return *device_; }
  Communicator& communicator() const override { return *communicator_; }
  void Abort(int, absl::string_view) override {}

 private:
  absl::Status DoFinalize(absl::Duration) override { return absl::OkStatus(); }

  const std::shared_ptr<Device> device_;
  const std::unique_ptr<Communicator> communicator_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<World>> SimWorld(int rank, int size,
                                                DeviceType device) {
  if (size < 1 || rank < 0 || rank >= size) {
    return absl::InvalidArgumentError(
        absl::StrCat("sim world: rank=", rank, " is outside [0, ", size, ")"));
  }
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Device> made, MakeDevice(device));
  return std::make_unique<SimWorldImpl>(rank, size, std::move(made));
}

}  // namespace eisbach::comm
