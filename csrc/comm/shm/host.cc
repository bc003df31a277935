#include "comm/shm/host.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/shm/group.h"
#include "comm/shm/shm_communicator.h"
#include "comm/shm/shm_host_tasks.h"
#include "core/components.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// How a rank tells the others where its arena is.
struct Announcement {
  int64_t pid;
  int64_t fd;  // -1: there is none
  uint64_t bytes;
  uint64_t token;
};
// What went wrong on a rank, if anything; of one length on all ranks.
constexpr size_t kReasonBytes = 200;

template <typename T>
std::string ToBytes(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof(T));
}
template <typename T>
T FromBytes(const std::string& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// The first failure among the ranks, the same on all of them.
absl::Status Agree(const absl::Status& mine, const Gather& gather) {
  std::string reason(mine.message().substr(0, kReasonBytes));
  reason.resize(kReasonBytes, '\0');
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all, gather(reason));
  for (size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank][0] == '\0') continue;
    return absl::UnavailableError(
        absl::StrCat("rank ", rank, " of the host: ", all[rank].c_str()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<SharedHost>> ConnectHost(int rank, int size,
                                                        const Gather& gather) {
  return Host::Connect(rank, size, gather);
}

absl::StatusOr<std::shared_ptr<Host>> Host::Connect(int rank, int size,
                                                    const Gather& gather) {
  std::random_device random;
  Announcement mine{.pid = getpid(),
                    .fd = -1,
                    .bytes = ArenaBytes(size),
                    .token = uint64_t{random()} << 32 | random() | 1};
  std::vector<std::unique_ptr<Arena>> arenas(size);
  absl::StatusOr<std::unique_ptr<Arena>> own = Arena::Make(mine.bytes);
  if (own.ok()) {
    EISBACH_RETURN_IF_ERROR((*own)->Cut(sizeof(HostPage)).status());
    mine.fd = (*own)->fd();
    arenas[rank] = *std::move(own);
    reinterpret_cast<HostPage*>(arenas[rank]->data())->token.store(mine.token);
  }
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           gather(ToBytes(mine)));
  absl::Status status = own.status();
  for (int peer = 0; peer < size && status.ok(); ++peer) {
    if (peer == rank) continue;
    const Announcement theirs = FromBytes<Announcement>(all[peer]);
    if (theirs.fd < 0) break;  // that rank tells why
    absl::StatusOr<std::unique_ptr<Arena>> arena =
        Arena::Open(static_cast<pid_t>(theirs.pid), static_cast<int>(theirs.fd),
                    theirs.bytes);
    status = arena.status();
    if (!arena.ok()) break;
    arenas[peer] = *std::move(arena);
    if (reinterpret_cast<HostPage*>(arenas[peer]->data())->token.load() !=
        theirs.token) {
      status = ApartError(
          absl::StrCat("process ", theirs.pid, " is not rank ", peer, "'s"));
    }
  }
  EISBACH_RETURN_IF_ERROR(Agree(status, gather));
  for (const std::unique_ptr<Arena>& arena : arenas) arena->Close();
  return std::shared_ptr<Host>(new Host(rank, std::move(arenas)));
}

Host::Host(int rank, std::vector<std::unique_ptr<Arena>> arenas)
    : rank_(rank),
      arenas_(std::move(arenas)),
      blocks_(SourceIn(own(), nullptr)) {}

void Host::Share(Device& device) {
  device.SetSharedSource(SourceIn(own(), shared_from_this()));
}

absl::StatusOr<std::shared_ptr<Group>> Host::ConnectGroup(
    const std::vector<int>& members, int rank, const Gather& gather) {
  const int size = static_cast<int>(members.size());
  EISBACH_ASSIGN_OR_RETURN(char* block, NewBlock(size));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           gather(ToBytes<uint64_t>(block - own().data())));
  std::vector<uint64_t> offsets;
  for (const std::string& one : all)
    offsets.push_back(FromBytes<uint64_t>(one));
  return std::make_shared<Group>(shared_from_this(), members, rank, offsets);
}

absl::StatusOr<std::unique_ptr<Communicator>> Host::MakeGroup(
    const std::vector<int>& members, int rank, std::string name,
    std::shared_ptr<Device> device, std::shared_ptr<Progress> progress,
    const Gather& gather) {
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Group> group,
                           ConnectGroup(members, rank, gather));
  return std::make_unique<ShmCommunicator>(std::move(group), std::move(name),
                                           std::move(device),
                                           std::move(progress));
}

absl::StatusOr<std::unique_ptr<HostTasks>> Host::MakeTasks(
    const std::vector<int>& members, int rank, const Gather& gather) {
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Group> group,
                           ConnectGroup(members, rank, gather));
  return std::make_unique<ShmHostTasks>(std::move(group));
}

absl::StatusOr<char*> Host::NewBlock(int size) {
  FreeClosed();
  const BlockLayout layout(size);
  EISBACH_ASSIGN_OR_RETURN(void* block, blocks_.Allocate(layout.bytes()));
  std::memset(block, 0, layout.control_bytes());
  return static_cast<char*>(block);
}

void Host::Retire(char* block, int size) {
  std::lock_guard<std::mutex> lock(mutex_);
  retired_.push_back({block, size});
}

void Host::FreeClosed() {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto all_closed = [&](const Retired& retired) {
    const BlockLayout layout(retired.size);
    for (int i = 0; i < retired.size; ++i) {
      if (layout.closed(retired.block, i).load(std::memory_order_acquire) ==
          0) {
        return false;
      }
    }
    blocks_.Free(retired.block);
    return true;
  };
  retired_.erase(std::remove_if(retired_.begin(), retired_.end(), all_closed),
                 retired_.end());
}

namespace {

// Whether this system lets processes share memory, tried on this one.
std::string Describe() {
  absl::StatusOr<std::unique_ptr<Arena>> arena = Arena::Make(ArenaBytes(1));
  absl::Status status = arena.status();
  if (arena.ok()) {
    status = Arena::Open(getpid(), (*arena)->fd(), (*arena)->bytes()).status();
  }
  return status.ok() ? "memfd" : absl::StrCat("none: ", status.message());
}

[[maybe_unused]] const bool described =
    RegisterComponent("shared_memory", &Describe);

}  // namespace
}  // namespace eisbach::comm
