#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "comm/progress.h"
#include "comm/shm/group.h"

namespace eisbach::comm {

// A collective among the processes of a host: everyone shows its call, and
// when all have come, one of three ways is taken, the same on all ranks:
//
//   eager   the input is small; each rank has put a copy of it in its block
//           before it showed the call. Nobody waits at the end.
//   direct  what others read (and write) lies in arenas: it is read and written
//           in place; everyone waits until all have left.
//   staged  otherwise: in rounds, each rank copies what the others need into a
//           slot of its block, and they take it from there. Nobody waits at
//           the end.
class ShmTask : public Task {
 public:
  ShmTask(std::shared_ptr<Group> group, int64_t index, const Call& call)
      : call_(call), group_(std::move(group)), index_(index) {}

  absl::StatusOr<Step> Poll() final;

 protected:
  enum class Way : uint8_t { kEager, kDirect, kStaged };

  // Bytes that go into the eager copy; null when the call is not eager. The
  // decision must be the same on all ranks.
  virtual const void* EagerInput() const { return nullptr; }
  virtual int64_t EagerBytes() const { return 0; }
  // Shows more than the call, just before it is shown.
  virtual void Show() {}
  // Called when everyone has come. An error must be the same on all ranks.
  virtual absl::Status Met() { return absl::OkStatus(); }
  // Whether the memory that peers touch is reachable in `call` of `member`.
  virtual bool Reachable(int member, const Call& call) const = 0;
  // Eager and direct: does about kBytesAPoll; true when all is done.
  virtual bool WorkInPlace() = 0;
  // Staged. Rounds are counted from 0; slots are those of round first_ + it.
  virtual int64_t Rounds() const { return 0; }
  virtual bool Collects() const { return false; }
  virtual void Stage(int64_t /*round*/) {}    // writes this rank's slot
  virtual void Combine(int64_t /*round*/) {}  // reads the others' slots
  virtual void Collect(int64_t /*round*/) {}  // reads the others' results

  Group& group() const { return *group_; }
  int rank() const { return group_->rank(); }
  int size() const { return group_->size(); }
  int64_t index() const { return index_; }
  Way way() const { return way_; }
  const Call& call(int member) const { return group_->call(member, index_); }
  // The input of `member`: its eager copy, or in its arena.
  const char* Input(int member) const;

  // The part for `to` in the slot of `from`, and the result of `from`.
  char* Part(int from, int to, int64_t round) const {
    return group_->layout().slot(group_->block(from), first_ + round) +
           to * group_->layout().part_bytes();
  }
  char* Result(int from, int64_t round) const {
    return group_->layout().result(group_->block(from), first_ + round);
  }

  // Copies into an output, or a slot, of a call on `whole` bytes: past the
  // caches when they could not hold them. Slots then go through memory, which
  // is slower than a cache that both ranks share, and faster than one that
  // they do not.
  static void Copy(void* to, const void* from, int64_t bytes, int64_t whole);

  static constexpr int64_t kBytesAPoll = 4 << 20;

  Call call_;

 private:
  enum class Stage_ : uint8_t { kPost, kMeet, kInPlace, kRounds, kLeave };

  void Post();
  absl::Status Check() const;
  Step PollRounds();
  bool RoundMoves();

  const std::shared_ptr<Group> group_;
  const int64_t index_;
  Stage_ stage_ = Stage_::kPost;
  Way way_ = Way::kEager;
  uint64_t first_ = 0;  // of the group's rounds
  int64_t rounds_ = 0;
  int64_t staged_ = 0;
  int64_t combined_ = 0;
  int64_t collected_ = 0;
};

// The `index`-th collective of a group.
struct ShmCall {
  std::shared_ptr<Group> group;
  int64_t index;
};

std::unique_ptr<Task> MakeShmAllReduce(const ShmCall& call, const Tensor& inout,
                                       ReduceOp op);
std::unique_ptr<Task> MakeShmReduceScatter(const ShmCall& call,
                                           const Tensor& in, const Tensor& out,
                                           ReduceOp op);
// `kind`: kAllGather, or kSplit for the group's own purposes.
std::unique_ptr<Task> MakeShmAllGather(const ShmCall& call, CallKind kind,
                                       const Tensor& in, const Tensor& out);
std::unique_ptr<Task> MakeShmBroadcast(const ShmCall& call, const Tensor& inout,
                                       int root);
std::unique_ptr<Task> MakeShmAllToAllV(
    const ShmCall& call, const Tensor& in,
    absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts);
std::unique_ptr<Task> MakeShmBarrier(const ShmCall& call);
// Not a collective: it has no index.
std::unique_ptr<Task> MakeShmExchange(std::shared_ptr<Group> group,
                                      absl::Span<const Transfer> transfers);

}  // namespace eisbach::comm
