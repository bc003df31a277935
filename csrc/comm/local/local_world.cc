#include "comm/local/local_world.h"

#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/log.h"
#include "core/status_macros.h"

namespace eisbach::comm {

LocalWorld::LocalWorld(std::shared_ptr<LocalJob> job,
                       std::shared_ptr<LocalGroup> everyone, int rank,
                       std::shared_ptr<Device> device)
    : job_(std::move(job)),
      device_(std::move(device)),
      communicator_(std::make_unique<LocalCommunicator>(
          std::move(everyone), rank, "world", device_)) {
  communicator_->Record(Activity::OfThread(rank));
}

LocalWorld::~LocalWorld() = default;

absl::Status LocalWorld::DoFinalize(absl::Duration) {
  if (finalized_) return absl::OkStatus();
  finalized_ = true;
  return communicator_->Barrier(device_->compute_stream());
}

void LocalWorld::Abort(int code, absl::string_view cause) {
  job_->Fail(rank(), absl::AbortedError(
                         absl::StrCat(cause, " (exit code ", code, ")")));
}

absl::Status RunLocalRanks(int size, DeviceType device, int threads,
                           const std::function<absl::Status(World&)>& body) {
  if (size < 1 || threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat("local ranks: size=", size,
                                                   " and threads=", threads,
                                                   " must both be at least 1"));
  }
  if (device == DeviceType::kCuda && size > 1) {
    return absl::UnimplementedError(absl::StrCat(
        size, " ranks that are threads cannot have a GPU each: NCCL connects ",
        "one process a GPU, use mpirun"));
  }
  std::vector<std::shared_ptr<Device>> devices(size);
  for (std::shared_ptr<Device>& one : devices) {
    EISBACH_ASSIGN_OR_RETURN(one, MakeDevice(device));
  }
  auto job = std::make_shared<LocalJob>(size);
  std::vector<int> ranks(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  auto everyone = std::make_shared<LocalGroup>(job, ranks);

  const auto run = [&](int rank) {
    SetLogRank(rank);
    SetComputeThreads(threads);
    {
      LocalWorld world(job, everyone, rank, devices[rank]);
      const absl::Status status = body(world);
      if (!status.ok()) job->Fail(rank, status);
    }
    job->Depart(rank);
  };
  std::vector<std::thread> rank_threads;
  for (int rank : ranks) rank_threads.emplace_back(run, rank);
  for (std::thread& thread : rank_threads) thread.join();
  for (int rank : ranks) job->progress(rank)->Stop();
  return job->cause();
}

}  // namespace eisbach::comm
