#include <mpi.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "comm/backends.h"
#include "comm/mpi/core_binding.h"
#include "comm/mpi/launcher_watch.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/mpi/mpi_device.h"
#include "comm/mpi/mpi_error.h"
#include "comm/mpi/mpi_host.h"
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

// Nobody is left who could be told; what MPI keeps in shared memory would stay.
void EndWithoutLauncher() {
  LogLine("the launcher of this job has died");
  for (const std::string& path : MappedSegments("/proc", "self")) {
    unlink(path.c_str());
  }
  std::_Exit(1);
}

class MpiWorldImpl final : public World {
 public:
  MpiWorldImpl(std::shared_ptr<Device> device, std::shared_ptr<MpiHost> host,
               std::shared_ptr<Progress> progress,
               std::shared_ptr<Fabric> fabric,
               std::unique_ptr<Communicator> communicator)
      : device_(std::move(device)),
        host_(std::move(host)),
        progress_(std::move(progress)),
        fabric_(std::move(fabric)),
        communicator_(std::move(communicator)),
        watch_(std::make_unique<LauncherWatch>(EndWithoutLauncher)) {}

  ~MpiWorldImpl() override {
    Finalize().IgnoreError();
    progress_->Stop();
  }

  int local_rank() const override { return host_->rank(); }
  int local_size() const override { return host_->size(); }
  int compute_threads() const override { return host_->compute_threads(); }
  absl::string_view backend() const override { return "mpi"; }
  Device& device() const override { return *device_; }
  Communicator& communicator() const override { return *communicator_; }

  absl::Status Finalize() override {
    if (ended_) return absl::OkStatus();
    ended_ = true;
    // When this fails MPI is left as it is: the launcher takes a rank that
    // ends without MPI_Finalize for a failed one and stops the job.
    Stream& stream = device_->compute_stream();
    EISBACH_RETURN_IF_ERROR(communicator_->Barrier(stream));
    EISBACH_RETURN_IF_ERROR(stream.Synchronize());
    if (fabric_ != nullptr) fabric_->Close();
    if (auto* mpi = dynamic_cast<MpiCommunicator*>(communicator_.get())) {
      mpi->Release();
    }
    progress_->Stop();
    watch_.reset();
    EISBACH_RETURN_IF_MPI(MPI_Finalize);
    return absl::OkStatus();
  }

  void Abort(int code, absl::string_view cause) override {
    if (!cause.empty()) LogLine(cause);
    std::fflush(nullptr);
    if (fabric_ != nullptr) fabric_->Abort(absl::AbortedError(cause));
    if (!ended_) MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);
  }

 private:
  const std::shared_ptr<Device> device_;
  const std::shared_ptr<MpiHost> host_;
  const std::shared_ptr<Progress> progress_;
  const std::shared_ptr<Fabric> fabric_;  // null: MPI and `host_` move bytes
  const std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<LauncherWatch> watch_;
  bool ended_ = false;
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
  MPI_Comm comm = MPI_COMM_NULL;
  EISBACH_RETURN_IF_MPI(MPI_Comm_dup, MPI_COMM_WORLD, &comm);
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
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
    communicator = *std::move(connected);
  } else {
    EISBACH_ASSIGN_OR_RETURN(
        communicator, MakeCommunicator(comm, "world", device, progress, host));
  }
  return std::make_unique<MpiWorldImpl>(std::move(device), std::move(host),
                                        std::move(progress), std::move(fabric),
                                        std::move(communicator));
}

[[maybe_unused]] const bool described =
    RegisterComponent("mpi", &LibraryVersion);

}  // namespace

absl::StatusOr<std::unique_ptr<World>> MpiWorld(DeviceType device,
                                                const Launcher& launcher) {
  int provided = MPI_THREAD_SINGLE;
  EISBACH_RETURN_IF_ERROR(MpiStatus(
      MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided),
      "MPI_Init_thread"));
  absl::StatusOr<std::unique_ptr<World>> world =
      Connect(device, launcher, provided);
  if (!world.ok()) {
    const std::vector<std::string> segments = MappedSegments("/proc", "self");
    MPI_Finalize();
    for (const std::string& path : segments) unlink(path.c_str());
  }
  return world;
}

}  // namespace eisbach::comm
