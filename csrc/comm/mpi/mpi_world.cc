#include <mpi.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "comm/backends.h"
#include "comm/mpi/abort_job.h"
#include "comm/mpi/core_binding.h"
#include "comm/mpi/launcher_watch.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/mpi/mpi_device.h"
#include "comm/mpi/mpi_error.h"
#include "comm/mpi/mpi_host.h"
#include "comm/mpi/settings.h"
#include "comm/mpi/stale_segments.h"
#include "core/components.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "device/location.h"

namespace eisbach::comm {
namespace {

std::string LibraryVersion() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::vector<std::string> parts =
      absl::StrSplit(absl::string_view(text, length), absl::MaxSplits(',', 1));
  return parts[0];
}

// What MPI keeps in shared memory stays where it is not finalised.
void RemoveOwnSegments() {
  for (const std::string& path : MappedSegments("/proc", "self")) {
    unlink(path.c_str());
  }
}

// Nobody is left who could be told.
void EndWithoutLauncher() {
  LogLine("the launcher of this job has died");
  RemoveOwnSegments();
  std::_Exit(1);
}

// For processes that AbortJob does not end: its launcher may be the one that
// has gone.
void ExitSoon(int code) {
  std::thread([code] {
    absl::SleepFor(absl::Seconds(5));
    std::_Exit(code);
  }).detach();
}

// Whether everyone has come to this call within `limit`.
absl::StatusOr<bool> AllAreHere(MPI_Comm comm, absl::Duration limit) {
  const absl::Time deadline = absl::Now() + limit;
  MPI_Request request = MPI_REQUEST_NULL;
  EISBACH_RETURN_IF_MPI(MPI_Ibarrier, comm, &request);
  while (true) {
    int here = 0;
    EISBACH_RETURN_IF_MPI(MPI_Test, &request, &here, MPI_STATUS_IGNORE);
    if (here != 0) return true;
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Microseconds(200));
  }
}

class MpiWorldImpl final : public World {
 public:
  // `ending` has all ranks and is for Finalize alone.
  MpiWorldImpl(MPI_Comm ending, std::shared_ptr<Device> device,
               std::shared_ptr<MpiHost> host,
               std::shared_ptr<Progress> progress,
               std::shared_ptr<Fabric> fabric,
               std::unique_ptr<Communicator> communicator)
      : ending_(ending),
        device_(std::move(device)),
        host_(std::move(host)),
        progress_(std::move(progress)),
        fabric_(std::move(fabric)),
        communicator_(std::move(communicator)),
        watch_(std::make_unique<LauncherWatch>(EndWithoutLauncher)) {}

  ~MpiWorldImpl() override {
    if (size() == 1) Finalize().IgnoreError();
    if (!ended_ && fabric_ != nullptr) {
      fabric_->Abort(absl::AbortedError("the world was not finalised"));
    }
    progress_->Stop();
  }

  int local_rank() const override { return host_->rank(); }
  int local_size() const override { return host_->size(); }
  int compute_threads() const override { return host_->compute_threads(); }
  absl::string_view backend() const override { return "mpi"; }
  Device& device() const override { return *device_; }
  Communicator& communicator() const override { return *communicator_; }

  void Abort(int code, absl::string_view cause) override {
    if (!cause.empty()) LogLine(cause);
    std::fflush(nullptr);
    if (fabric_ != nullptr) fabric_->Abort(absl::AbortedError(cause));
    ExitSoon(code);
    // The launcher, which would, may have to be killed.
    RemoveOwnSegments();
    if (!ended_) AbortJob(code);
    std::_Exit(code);
  }

 private:
  absl::Status DoFinalize(absl::Duration limit) override {
    if (ended_) return absl::OkStatus();
    // Where others are in a collective of a communicator, a barrier of the same
    // would answer them. When this fails MPI is left as it is: the launcher
    // takes a rank that ends without MPI_Finalize for a failed one and stops
    // the job.
    EISBACH_ASSIGN_OR_RETURN(const bool all, AllAreHere(ending_, limit));
    if (!all) {
      return absl::DeadlineExceededError(absl::StrCat(
          "rank ", rank(), " ends, and the others did not come to ",
          "their end within ", absl::FormatDuration(limit)));
    }
    EISBACH_RETURN_IF_ERROR(device_->compute_stream().Synchronize());
    ended_ = true;
    if (fabric_ != nullptr) fabric_->Close();
    if (auto* mpi = dynamic_cast<MpiCommunicator*>(communicator_.get())) {
      mpi->Release();
    }
    progress_->Stop();
    watch_.reset();
    EISBACH_RETURN_IF_MPI(MPI_Comm_free, &ending_);
    EISBACH_RETURN_IF_MPI(MPI_Finalize);
    return absl::OkStatus();
  }

  MPI_Comm ending_;
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<MpiHost> host_;
  const std::shared_ptr<Progress> progress_;
  const std::shared_ptr<Fabric> fabric_;  // null: MPI and `host_` move bytes
  const std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<LauncherWatch> watch_;
  std::atomic<bool> ended_{false};  // Abort may come from another thread
};

absl::StatusOr<std::unique_ptr<World>> Connect(DeviceType type,
                                               const Launcher& launcher,
                                               int provided) {
  EISBACH_RETURN_IF_MPI(MPI_Comm_set_errhandler, MPI_COMM_WORLD,
                        MPI_ERRORS_RETURN);
  int rank = 0, size = 0;
  EISBACH_RETURN_IF_MPI(MPI_Comm_rank, MPI_COMM_WORLD, &rank);
  EISBACH_RETURN_IF_MPI(MPI_Comm_size, MPI_COMM_WORLD, &size);
  EISBACH_RETURN_IF_ERROR(CheckLauncher(launcher, size, LibraryVersion()));
  if (provided < MPI_THREAD_MULTIPLE) {
    return absl::FailedPreconditionError(absl::StrCat(
        LibraryVersion(), " was built without MPI_THREAD_MULTIPLE (it offers ",
        "thread level ", provided, "), which communication in the background ",
        "needs"));
  }
  SetLogRank(rank);
  if (size == 1) WidenLoneRank();
  EISBACH_ASSIGN_OR_RETURN(Transport transport,
                           ParseTransport(std::getenv("EISBACH_TRANSPORT")));
  if (type != DeviceType::kCpu) transport = Transport::kMpi;
  EISBACH_ASSIGN_OR_RETURN(
      const std::optional<int> ranks_per_host,
      ParseRanksPerHost(std::getenv("EISBACH_RANKS_PER_HOST")));
  if (ranks_per_host.has_value() && rank == 0) {
    LogLine(absl::StrCat("EISBACH_RANKS_PER_HOST=", *ranks_per_host,
                         " is for tests: the ranks of a host are taken for ",
                         "those of several"));
  }
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<MpiHost> host,
                           MpiHost::Find(transport, ranks_per_host));
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Device> device,
                           MakeRankDevice(type, *host));
  BindNear(*device);
  if (host->rank() == 0) RemoveStaleSegments("/dev/shm", "/proc", 60);
  std::shared_ptr<BellWord> bell;
  if (host->shared() != nullptr) {
    host->shared()->Share(*device);
    bell = host->shared()->bell();
  }
  MPI_Comm comm = MPI_COMM_NULL, ending = MPI_COMM_NULL;
  EISBACH_RETURN_IF_MPI(MPI_Comm_dup, MPI_COMM_WORLD, &comm);
  EISBACH_RETURN_IF_MPI(MPI_Comm_dup, MPI_COMM_WORLD, &ending);
  auto progress = std::make_shared<Progress>(rank, /*peers_ring=*/false, bell);
  std::shared_ptr<Fabric> fabric;
  std::unique_ptr<Communicator> communicator;
  if (const FabricFactory factory = FabricOf(type); factory && size > 1) {
    EISBACH_ASSIGN_OR_RETURN(
        fabric, factory({rank, size, device, [comm](const std::string& mine) {
                           return GatherOver(comm, mine);
                         }}));
    absl::StatusOr<std::unique_ptr<Communicator>> connected = fabric->Connect();
    if (!connected.ok()) {
      // The others wait for this rank within the fabric.
      LogLine(connected.status().ToString());
      AbortJob(1);
    }
    communicator = *std::move(connected);
  } else {
    EISBACH_ASSIGN_OR_RETURN(
        communicator, MakeCommunicator(comm, "world", device, progress, host));
  }
  // Where the system has no such memory, peers ask for the table (watch/).
  absl::StatusOr<std::shared_ptr<Activity>> activity =
      Activity::OfProcess(rank);
  communicator->Record(activity.ok() ? *std::move(activity)
                                     : Activity::OfThread(rank));
  return std::make_unique<MpiWorldImpl>(
      ending, std::move(device), std::move(host), std::move(progress),
      std::move(fabric), std::move(communicator));
}

[[maybe_unused]] const bool described =
    RegisterComponent("mpi", &LibraryVersion);

}  // namespace

absl::StatusOr<std::unique_ptr<World>> MpiWorld(DeviceType device,
                                                const Launcher& launcher,
                                                absl::string_view interface) {
  EISBACH_RETURN_IF_ERROR(CheckInterface(interface));
  int started = 0;
  EISBACH_RETURN_IF_MPI(MPI_Initialized, &started);
  if (started != 0) {
    return absl::FailedPreconditionError(
        "MPI was started in this process before, by a world that has ended or "
        "by another library, and starts once a process: keep the first world");
  }
  const auto environment = [](const char* name) { return std::getenv(name); };
  for (const Setting& one : SettingsBeforeInit(environment, interface)) {
    setenv(one.name.c_str(), one.value.c_str(), /*overwrite=*/0);
  }
  int provided = MPI_THREAD_SINGLE;
  EISBACH_RETURN_IF_ERROR(MpiStatus(
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided),
      "MPI_Init_thread"));
  absl::StatusOr<std::unique_ptr<World>> world =
      Connect(device, launcher, provided);
  // MPI_Finalize would wait for ranks that have no error, and crashes where the
  // launcher cannot be reached.
  if (!world.ok()) RemoveOwnSegments();
  return world;
}

}  // namespace eisbach::comm
