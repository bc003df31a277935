#include "comm/mpi/mpi_host.h"

#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "comm/mpi/hierarchical_tasks.h"
#include "comm/mpi/mpi_communicator.h"
#include "comm/mpi/mpi_error.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/threads.h"

namespace eisbach::comm {

absl::StatusOr<std::vector<std::string>> GatherOver(MPI_Comm comm,
                                                    const std::string& mine) {
  int size = 0;
  EISBACH_RETURN_IF_MPI(MPI_Comm_size, comm, &size);
  const int bytes = static_cast<int>(mine.size());
  std::string all(mine.size() * size, '\0');
  EISBACH_RETURN_IF_MPI(MPI_Allgather, mine.data(), bytes, MPI_BYTE, all.data(),
                        bytes, MPI_BYTE, comm);
  std::vector<std::string> parts;
  for (int rank = 0; rank < size; ++rank) {
    parts.push_back(all.substr(rank * mine.size(), mine.size()));
  }
  return parts;
}

namespace {

// The ranks of `from` in `to`; -1 for those that are not in it.
absl::StatusOr<std::vector<int>> Translate(MPI_Comm from, MPI_Comm to) {
  int size = 0;
  EISBACH_RETURN_IF_MPI(MPI_Comm_size, from, &size);
  std::vector<int> ranks(size), translated(size);
  std::iota(ranks.begin(), ranks.end(), 0);
  MPI_Group from_group = MPI_GROUP_NULL, to_group = MPI_GROUP_NULL;
  EISBACH_RETURN_IF_MPI(MPI_Comm_group, from, &from_group);
  EISBACH_RETURN_IF_MPI(MPI_Comm_group, to, &to_group);
  EISBACH_RETURN_IF_MPI(MPI_Group_translate_ranks, from_group, size,
                        ranks.data(), to_group, translated.data());
  EISBACH_RETURN_IF_MPI(MPI_Group_free, &from_group);
  EISBACH_RETURN_IF_MPI(MPI_Group_free, &to_group);
  for (int& rank : translated) {
    if (rank == MPI_UNDEFINED) rank = -1;
  }
  return translated;
}

// This rank's share of the cores of its host.
absl::StatusOr<int> FindThreads(MPI_Comm host, int rank) {
  static_assert(std::is_trivially_copyable_v<CoreLimits>);
  const CoreLimits mine = FindCoreLimits();
  std::string bytes(sizeof(mine), '\0');
  std::memcpy(bytes.data(), &mine, sizeof(mine));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           GatherOver(host, bytes));
  std::vector<CoreLimits> ranks(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    std::memcpy(&ranks[i], all[i].data(), sizeof(mine));
  }
  return ShareOfCores(ranks, rank);
}

}  // namespace

absl::StatusOr<Transport> ParseTransport(const char* value) {
  const absl::string_view text = value == nullptr ? "auto" : value;
  if (text == "auto") return Transport::kAuto;
  if (text == "shm") return Transport::kShm;
  if (text == "mpi") return Transport::kMpi;
  return absl::InvalidArgumentError(
      absl::StrCat("EISBACH_TRANSPORT=", text, " is none of auto, shm, mpi"));
}

absl::StatusOr<std::optional<int>> ParseRanksPerHost(const char* value) {
  if (value == nullptr) return std::nullopt;
  int ranks = 0;
  if (!absl::SimpleAtoi(value, &ranks) || ranks < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "EISBACH_RANKS_PER_HOST=", value, " is not a number of at least 1"));
  }
  return ranks;
}

absl::StatusOr<std::shared_ptr<MpiHost>> MpiHost::Find(
    Transport transport, std::optional<int> ranks_per_host) {
  std::shared_ptr<MpiHost> host(new MpiHost());
  MPI_Comm comm = MPI_COMM_NULL;
  EISBACH_RETURN_IF_MPI(MPI_Comm_split_type, MPI_COMM_WORLD,
                        MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &comm);
  EISBACH_RETURN_IF_MPI(MPI_Comm_rank, comm, &host->rank_);
  EISBACH_ASSIGN_OR_RETURN(host->compute_threads_,
                           FindThreads(comm, host->rank_));
  if (ranks_per_host.has_value()) {
    MPI_Comm whole = comm;
    EISBACH_RETURN_IF_MPI(MPI_Comm_split, whole, host->rank_ / *ranks_per_host,
                          host->rank_, &comm);
    EISBACH_RETURN_IF_MPI(MPI_Comm_free, &whole);
    EISBACH_RETURN_IF_MPI(MPI_Comm_rank, comm, &host->rank_);
  }
  EISBACH_RETURN_IF_MPI(MPI_Comm_size, comm, &host->size_);
  if (transport != Transport::kMpi && host->size_ > 1) {
    absl::StatusOr<std::shared_ptr<SharedHost>> shared = ConnectHost(
        host->rank_, host->size_,
        [&](const std::string& mine) { return GatherOver(comm, mine); });
    if (shared.ok()) {
      host->shared_ = *std::move(shared);
    } else if (transport == Transport::kShm) {
      return Annotate(shared.status(), "EISBACH_TRANSPORT=shm");
    } else if (host->rank_ == 0) {
      LogLine(absl::StrCat("no shared memory between the ranks of this host, ",
                           "they talk through MPI (", shared.status().message(),
                           ")"));
    }
  }
  EISBACH_RETURN_IF_ERROR(host->TellPlaces(comm));
  EISBACH_RETURN_IF_MPI(MPI_Comm_free, &comm);
  return host;
}

absl::Status MpiHost::TellPlaces(MPI_Comm host) {
  int world_rank = 0;
  EISBACH_RETURN_IF_MPI(MPI_Comm_rank, MPI_COMM_WORLD, &world_rank);
  Place mine{.host = world_rank, .rank = rank_, .shared = shared_ != nullptr};
  // A host has the number of its first rank.
  EISBACH_RETURN_IF_MPI(MPI_Bcast, &mine.host, 1, MPI_INT, 0, host);
  std::string bytes(sizeof(Place), '\0');
  std::memcpy(bytes.data(), &mine, sizeof(Place));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           GatherOver(MPI_COMM_WORLD, bytes));
  places_.resize(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    std::memcpy(&places_[i], all[i].data(), sizeof(Place));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<MpiHost::Place>> MpiHost::Places(
    MPI_Comm comm) const {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<int> ranks,
                           Translate(comm, MPI_COMM_WORLD));
  std::vector<Place> places;
  for (int rank : ranks) places.push_back(places_[rank]);
  return places;
}

namespace {

// How `comm` spans hosts; nothing when it must go through MPI alone.
absl::StatusOr<std::optional<HostsContext>> FindHosts(
    MPI_Comm comm, int rank, const std::vector<MpiHost::Place>& places,
    SharedHost* shared) {
  std::vector<int> hosts;
  for (const MpiHost::Place& place : places) {
    if (!place.shared) return std::nullopt;
    hosts.push_back(place.host);
  }
  const std::optional<HostBlocks> blocks = FindHostBlocks(hosts);
  if (!blocks.has_value()) return std::nullopt;
  HostsContext context{.group = {.comm = comm,
                                 .rank = rank,
                                 .size = static_cast<int>(places.size())},
                       .blocks = *blocks,
                       .inside = nullptr};
  const int first = context.host() * blocks->per_host;
  std::vector<int> members;
  for (int i = 0; i < blocks->per_host; ++i) {
    members.push_back(places[first + i].rank);
  }
  // All ranks of the group gather, each takes what its host said.
  const Gather gather =
      [&](const std::string& mine) -> absl::StatusOr<std::vector<std::string>> {
    EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                             GatherOver(comm, mine));
    return std::vector<std::string>(all.begin() + first,
                                    all.begin() + first + blocks->per_host);
  };
  EISBACH_ASSIGN_OR_RETURN(context.inside,
                           shared->MakeTasks(members, context.place(), gather));
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Communicator>> MakeCommunicator(
    MPI_Comm comm, std::string name, std::shared_ptr<Device> device,
    std::shared_ptr<Progress> progress, std::shared_ptr<MpiHost> host) {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<MpiHost::Place> places,
                           host->Places(comm));
  int rank = 0;
  EISBACH_RETURN_IF_MPI(MPI_Comm_rank, comm, &rank);
  const MpiHost::Place& mine = places[rank];
  std::vector<int> members;
  for (const MpiHost::Place& place : places) {
    if (place.host == mine.host) members.push_back(place.rank);
  }
  if (!mine.shared || members.size() < places.size()) {
    EISBACH_ASSIGN_OR_RETURN(
        std::optional<HostsContext> hosts,
        FindHosts(comm, rank, places, host->shared().get()));
    return MpiCommunicator::Make(comm, std::move(hosts), std::move(name),
                                 std::move(device), std::move(progress),
                                 std::move(host));
  }
  EISBACH_ASSIGN_OR_RETURN(
      std::unique_ptr<Communicator> group,
      host->shared()->MakeGroup(
          members, rank, std::move(name), std::move(device),
          std::move(progress),
          [&](const std::string& said) { return GatherOver(comm, said); }));
  EISBACH_RETURN_IF_MPI(MPI_Comm_free, &comm);
  return group;
}

}  // namespace eisbach::comm
