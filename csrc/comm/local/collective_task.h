#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "comm/local/local_group.h"
#include "comm/progress.h"

namespace eisbach::comm {

// A collective among rank threads: everyone shows its call, then each reads
// what it needs out of the others' memory, then all let each other go.
class CollectiveTask : public Task {
 public:
  CollectiveTask(std::shared_ptr<LocalGroup> group, int rank, int64_t index)
      : group_(std::move(group)), rank_(rank), index_(index) {}

  absl::StatusOr<Step> Poll() final;

 protected:
  // Moves about kBytesAPoll; true when all is done.
  virtual absl::StatusOr<bool> Work() = 0;

  int rank() const { return rank_; }
  int size() const { return group_->size(); }
  int64_t index() const { return index_; }
  LocalGroup& group() { return *group_; }
  const std::vector<LocalCall>& calls() const { return group_->calls(index_); }

  static constexpr int64_t kBytesAPoll = 1 << 20;

  LocalCall call_;

 private:
  enum class Stage : uint8_t { kPost, kMeet, kWork, kLeave };

  absl::Status CheckCalls() const;
  absl::Status Fail(absl::Status cause);

  const std::shared_ptr<LocalGroup> group_;
  const int rank_;
  const int64_t index_;
  Stage stage_ = Stage::kPost;
};

// What a LocalCommunicator gives to its queue.
struct CallContext {
  std::shared_ptr<LocalGroup> group;
  int rank;
  int64_t index;  // of the collective; not used by an exchange
};

std::unique_ptr<Task> MakeAllReduce(const CallContext& context,
                                    const Tensor& inout, ReduceOp op);
std::unique_ptr<Task> MakeAllGather(const CallContext& context,
                                    const Tensor& in, const Tensor& out);
std::unique_ptr<Task> MakeReduceScatter(const CallContext& context,
                                        const Tensor& in, const Tensor& out,
                                        ReduceOp op);
std::unique_ptr<Task> MakeBroadcast(const CallContext& context,
                                    const Tensor& inout, int root);
std::unique_ptr<Task> MakeAllToAllV(const CallContext& context,
                                    const Tensor& in,
                                    absl::Span<const int64_t> send_counts,
                                    const Tensor& out,
                                    absl::Span<const int64_t> receive_counts);
std::unique_ptr<Task> MakeBarrier(const CallContext& context);
std::unique_ptr<Task> MakeExchange(const CallContext& context,
                                   absl::Span<const Transfer> transfers);

// The new group and the place in it; null for a negative color.
struct SplitResult {
  std::shared_ptr<LocalGroup> group;
  int rank = 0;
};
std::unique_ptr<Task> MakeSplit(const CallContext& context, int color, int key,
                                SplitResult* result);

}  // namespace eisbach::comm
