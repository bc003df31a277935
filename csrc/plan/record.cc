#include "plan/record.h"

#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "core/status_macros.h"
#include "plan/meta_rank.h"

namespace eisbach::plan {
namespace {

class WorkRecorder final : public Recorder {
 public:
  explicit WorkRecorder(Device& device) : device_(device) {
    streams_[&device.compute_stream()] = 0;
    device.ResetPeakMemory();
    action_.before = device.memory().bytes_in_use;
    device.set_recorder(this);
  }
  ~WorkRecorder() override { device_.set_recorder(nullptr); }

  void OnOp(absl::string_view name, const OpCost& cost,
            const Stream& stream) override {
    Add({.kind = Work::Kind::kOp,
         .stream = Number(stream),
         .name = Number(name),
         .op = cost});
    TakeWorkspace(device_, name, cost);
  }
  void OnCollective(absl::string_view name, absl::string_view group,
                    const CollectiveCost& cost, const Stream& stream) override {
    if (cost.group_size == 1) return;
    Add({.kind = Work::Kind::kCollective,
         .stream = Number(stream),
         .name = Number(name),
         .group = Number(group),
         .collective = cost});
  }
  void OnRecord(int64_t event, const Stream& stream) override {
    Add({.kind = Work::Kind::kRecord,
         .stream = Number(stream),
         .event = event});
  }
  void OnWait(int64_t event, const Stream& stream) override {
    Add({.kind = Work::Kind::kWait, .stream = Number(stream), .event = event});
  }
  void OnAction(const ActionMark& action) override {
    EndAction();
    device_.ResetPeakMemory();
    action_ = {.action = action, .before = device_.memory().bytes_in_use};
    Add({.kind = Work::Kind::kAction, .action = action});
  }

  void EndStep() {
    OnAction({});
    Add({.kind = Work::Kind::kStepEnd});
  }

  WorkRecord Take() {
    record_.streams = static_cast<int>(streams_.size());
    return std::move(record_);
  }

 private:
  void Add(const Work& work) { record_.work.push_back(work); }

  void EndAction() {
    const AllocatorStats memory = device_.memory();
    action_.most = memory.peak_bytes_in_use;
    action_.after = memory.bytes_in_use;
    record_.memory.push_back(action_);
  }

  uint8_t Number(const Stream& stream) {
    return streams_.try_emplace(&stream, static_cast<uint8_t>(streams_.size()))
        .first->second;
  }
  uint16_t Number(absl::string_view name) {
    const auto [it, added] =
        names_.try_emplace(name, static_cast<uint16_t>(record_.names.size()));
    if (added) record_.names.emplace_back(name);
    return it->second;
  }

  Device& device_;
  WorkRecord record_;
  ActionMemory action_{};
  absl::flat_hash_map<const Stream*, uint8_t> streams_;
  absl::flat_hash_map<std::string, uint16_t> names_;
};

}  // namespace

absl::StatusOr<WorkRecord> RecordSteps(const train::EngineConfig& config,
                                       const parallel::Mesh& mesh, int rank,
                                       DeviceType device) {
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<MetaRank> made,
                           MetaRank::Make(config, mesh, rank, device));
  EISBACH_RETURN_IF_ERROR(made->Step());
  WorkRecorder recorder(made->device());
  for (int step = 0; step < 2; ++step) {
    EISBACH_RETURN_IF_ERROR(made->Step());
    recorder.EndStep();
  }
  WorkRecord record = recorder.Take();
  record.parameters = made->parameters();
  return record;
}

}  // namespace eisbach::plan
