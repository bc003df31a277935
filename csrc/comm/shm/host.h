#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "comm/backends.h"
#include "comm/shm/arena.h"
#include "comm/shm/block.h"

namespace eisbach::comm {

class Group;

// The arenas of a host's ranks, as one of them has mapped them. The first page
// of an arena is its rank's HostPage.
class Host final : public SharedHost,
                   public std::enable_shared_from_this<Host> {
 public:
  static absl::StatusOr<std::shared_ptr<Host>> Connect(int rank, int size,
                                                       const Gather& gather);

  std::shared_ptr<BellWord> bell() override {
    return {shared_from_this(), &page(rank_).bell};
  }
  void Share(Device& device) override;
  absl::StatusOr<std::unique_ptr<Communicator>> MakeGroup(
      const std::vector<int>& members, int rank, std::string name,
      std::shared_ptr<Device> device, std::shared_ptr<Progress> progress,
      const Gather& gather) override;
  absl::StatusOr<std::unique_ptr<HostTasks>> MakeTasks(
      const std::vector<int>& members, int rank, const Gather& gather) override;

  int rank() const { return rank_; }
  Arena& arena(int rank) const { return *arenas_[rank]; }
  Arena& own() const { return *arenas_[rank_]; }
  void Ring(int rank) { Bell::Ring(page(rank).bell); }

  // A block of this rank for a group of `size`, its control part zero.
  absl::StatusOr<char*> NewBlock(int size);
  // Takes back a block of a group that this rank has left; its memory is used
  // again once all members have closed it.
  void Retire(char* block, int size);

 private:
  struct HostPage {
    std::atomic<uint64_t> token;  // tells that this is the arena announced
    BellWord bell;
  };
  struct Retired {
    char* block;
    int size;
  };

  Host(int rank, std::vector<std::unique_ptr<Arena>> arenas);
  HostPage& page(int rank) const {
    return *reinterpret_cast<HostPage*>(arenas_[rank]->data());
  }
  absl::StatusOr<std::shared_ptr<Group>> ConnectGroup(
      const std::vector<int>& members, int rank, const Gather& gather);
  void FreeClosed();

  const int rank_;
  const std::vector<std::unique_ptr<Arena>> arenas_;
  // Blocks only; tensors have their allocator in the device.
  Allocator blocks_;
  std::mutex mutex_;
  std::vector<Retired> retired_;
};

}  // namespace eisbach::comm
