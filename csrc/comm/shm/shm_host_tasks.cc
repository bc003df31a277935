#include "comm/shm/shm_host_tasks.h"

#include <vector>

#include "comm/shm/shm_task.h"

namespace eisbach::comm {

std::unique_ptr<Task> ShmHostTasks::AllToAll(const Tensor& in,
                                             const Tensor& out) {
  const std::vector<int64_t> counts(group_->size(),
                                    in.elements() / group_->size());
  return MakeShmAllToAllV({group_, next_call_++}, in, counts, out, counts);
}

std::unique_ptr<Task> ShmHostTasks::AllGather(const Tensor& in,
                                              const Tensor& out) {
  return MakeShmAllGather({group_, next_call_++}, CallKind::kAllGather, in,
                          out);
}

std::unique_ptr<Task> ShmHostTasks::Broadcast(const Tensor& inout, int root) {
  return MakeShmBroadcast({group_, next_call_++}, inout, root);
}

}  // namespace eisbach::comm
