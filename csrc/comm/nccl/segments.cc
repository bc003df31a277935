#include "comm/nccl/segments.h"

#include <nccl.h>

#include "absl/strings/str_cat.h"
#include "comm/nccl/nccl_group.h"

namespace eisbach::comm {

void Segments::Add(NcclGroup* group) {
  std::lock_guard<std::mutex> lock(mutex_);
  groups_.push_back(group);
}

void Segments::Forget(NcclGroup* group) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::erase(groups_, group);
}

absl::Status Segments::Reach(NcclGroup& group, const void* data) {
  std::lock_guard<std::mutex> lock(mutex_);
  char* const at = static_cast<char*>(const_cast<void*>(data));
  auto segment = segments_.upper_bound(at);
  if (segment == segments_.begin()) return absl::OkStatus();
  --segment;
  if (at >= segment->first + segment->second) return absl::OkStatus();
  return group.Register(segment->first, segment->second);
}

absl::StatusOr<void*> NcclMemory::Take(size_t bytes) {
  void* data = nullptr;
  const ncclResult_t result = ncclMemAlloc(&data, bytes);
  if (result != ncclSuccess) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the GPU has no ", bytes >> 20, " MiB more for tensors that NCCL ",
        "reaches (ncclMemAlloc: ", ncclGetErrorString(result), ")"));
  }
  std::lock_guard<std::mutex> lock(segments_->mutex_);
  segments_->segments_[static_cast<char*>(data)] = bytes;
  return data;
}

void NcclMemory::Give(void* data, size_t) {
  {
    std::lock_guard<std::mutex> lock(segments_->mutex_);
    for (NcclGroup* group : segments_->groups_) group->Deregister(data);
    segments_->segments_.erase(static_cast<char*>(data));
  }
  ncclMemFree(data);
}

}  // namespace eisbach::comm
