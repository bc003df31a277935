#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "comm/backends.h"
#include "comm/shm/group.h"

namespace eisbach::comm {

// A group in shared memory whose tasks somebody else drives.
class ShmHostTasks final : public HostTasks {
 public:
  explicit ShmHostTasks(std::shared_ptr<Group> group)
      : group_(std::move(group)) {}

  std::unique_ptr<Task> AllToAll(const Tensor& in, const Tensor& out) override;
  std::unique_ptr<Task> AllGather(const Tensor& in, const Tensor& out) override;
  std::unique_ptr<Task> Broadcast(const Tensor& inout, int root) override;

 private:
  const std::shared_ptr<Group> group_;
  int64_t next_call_ = 0;
};

}  // namespace eisbach::comm
