#pragma once

#include <memory>

#include "comm/local/local_communicator.h"
#include "comm/local/local_job.h"
#include "comm/world.h"
#include "core/threads.h"

namespace eisbach::comm {

// One rank thread's view of its job.
class LocalWorld final : public World {
 public:
  // `everyone` is the group of all ranks of `job`.
  LocalWorld(std::shared_ptr<LocalJob> job,
             std::shared_ptr<LocalGroup> everyone, int rank,
             std::shared_ptr<Device> device);
  ~LocalWorld() override;

  int local_rank() const override { return rank(); }
  int local_size() const override { return size(); }
  int compute_threads() const override { return ComputeThreads(); }
  absl::string_view backend() const override { return "local"; }
  Device& device() const override { return *device_; }
  Communicator& communicator() const override { return *communicator_; }
  void Abort(int code, absl::string_view cause) override;

 private:
  absl::Status DoFinalize(absl::Duration limit) override;

  const std::shared_ptr<LocalJob> job_;
  const std::shared_ptr<Device> device_;
  const std::unique_ptr<Communicator> communicator_;
  bool finalized_ = false;
};

}  // namespace eisbach::comm
