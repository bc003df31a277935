#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/status/status.h"
#include "device/allocator.h"

namespace eisbach::comm {

class NcclGroup;

// The device memory of a process that NCCL has allocated (ncclMemAlloc), and
// which communicators work on it without copies. Registration is local and
// happens at a communicator's first call on a segment. NCCL's rule is that of
// the ranks of a call all or none pass such memory, at the same offset where
// they reduce in the switch: ranks of a group allocate alike.
class Segments {
 public:
  void Add(NcclGroup* group);
  void Forget(NcclGroup* group);

  // Registers the segment that `data` lies in with `group`, which was added;
  // nothing to do for other memory.
  absl::Status Reach(NcclGroup& group, const void* data);

 private:
  friend class NcclMemory;

  std::mutex mutex_;
  std::map<char*, size_t> segments_;
  std::vector<NcclGroup*> groups_;
};

// Shared memory of a GPU (Device::SetSharedSource).
class NcclMemory final : public MemorySource {
 public:
  explicit NcclMemory(std::shared_ptr<Segments> segments)
      : segments_(std::move(segments)) {}

  absl::StatusOr<void*> Take(size_t bytes) override;
  void Give(void* data, size_t bytes) override;

 private:
  const std::shared_ptr<Segments> segments_;
};

}  // namespace eisbach::comm
