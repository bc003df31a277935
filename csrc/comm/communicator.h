#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "comm/call_shape.h"
#include "comm/group_activity.h"
#include "comm/progress.h"
#include "core/one_thread.h"
#include "tensor/tensor.h"

namespace eisbach::comm {

// One side of a point-to-point transfer within an Exchange.
struct Transfer {
  enum class Kind : uint8_t { kSend, kReceive };
  Kind kind;
  int peer;
  Tensor tensor;
};

inline int64_t Bytes(const Tensor& tensor) {
  return static_cast<int64_t>(tensor.bytes());
}

inline TransferShape ShapeOf(const Transfer& transfer) {
  return {.told = TransferShape::kTold,
          .bytes = Bytes(transfer.tensor),
          .peer = transfer.peer,
          .dtype = transfer.tensor.dtype(),
          .sends = transfer.kind == Transfer::Kind::kSend};
}

// How often and how much a communicator was used.
struct CommStats {
  int64_t calls = 0;
  int64_t bytes = 0;
};

// What connects the devices of a group, by what the library that moves their
// bytes has found. It tells what its kernels may use, not which algorithm a
// call will take.
struct Interconnect {
  // The switches of an NVLink domain add and multicast (NVLS).
  bool multimem = false;
  // How many NVLink domains the ranks lie in. One, with ranks on several
  // hosts, is multi-node NVLink in use.
  int nvlink_domains = 0;
};

// A group of ranks that call collectives together.
//
// All ranks of a group make the same calls in the same order with the same
// shapes and dtypes. A call is ordered after the work its stream already has
// and before the work the stream is given later; on an inline stream it has
// finished when it returns, on any other it runs behind (record an event to
// learn when). Tensors are contiguous, on the communicator's device, and kept
// alive by the call until it is done; nobody else may touch them until then.
//
// Sums of bf16 and f16 are accumulated in f32. Reductions go in rank order, so
// a result depends on the inputs and the group size alone, and is bitwise the
// same on every rank.
//
// `in` may be piece rank() of `out` (AllGather) and `out` piece rank() of `in`
// (ReduceScatter); any other overlap is an error. After an error in a call that
// has started, every further call fails with it.
//
// The public methods check, count and record, and return at once in a group of
// one and on meta; a backend implements the private ones, and labels the tasks
// that do the work with call(), so that the device's tracer can name them.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& name() const { return name_; }  // for messages and traces
  Device& device() const { return *device_; }
  // What moves the bytes: "threads", "shm", "mpi", "shm+mpi" (shared memory
  // inside hosts, MPI between them), "nccl", "none" (sim).
  virtual absl::string_view transport() const = 0;
  // Unimplemented where nobody can tell.
  virtual absl::StatusOr<Interconnect> interconnect();
  CommStats stats() const;
  // FailedPrecondition once the job has ended, and after a fork: every call
  // begins with it, and so does whatever makes calls.
  absl::Status CheckJoined() const;
  // The world's end: this group and those that were made from it take no more
  // calls.
  void End() { ended_->store(true, std::memory_order_release); }
  // Writes the calls of this group, and of those that are made from it, into
  // the table of this rank. By the world, before the first call.
  void Record(std::shared_ptr<Activity> activity);
  // From here on this group, and those that are made from it afterwards,
  // compare the calls of their ranks. A collective that differs is
  // InvalidArgument before its data moves, names both sides, and is the same on
  // every rank; of a transfer the receiver says so, and the sender where it
  // would wait. From then on every call fails with it. Every rank does so
  // before the same call.
  //
  // Where a backend compares always this changes nothing. NCCL makes the host
  // wait in every call until all ranks have come to it, and cannot be captured.
  void CheckCalls() { checks_ = true; }
  // The table; null where nothing is written down: alone, and on meta.
  Activity* activity() const { return activity_.get(); }

  // inout[i] = op over ranks of inout[i].
  absl::Status AllReduce(const Tensor& inout, ReduceOp op, Stream& stream);
  // out = concatenation over ranks of in; `out` has size() x the elements.
  absl::Status AllGather(const Tensor& in, const Tensor& out, Stream& stream);
  // out = piece rank() of the reduction of in; `in` has size() x the elements.
  absl::Status ReduceScatter(const Tensor& in, const Tensor& out, ReduceOp op,
                             Stream& stream);
  absl::Status Broadcast(const Tensor& inout, int root, Stream& stream);
  // Piece i of `in` goes to rank i, piece j of `out` comes from rank j.
  absl::Status AllToAll(const Tensor& in, const Tensor& out, Stream& stream);
  // The same with pieces of given element counts, one a rank.
  absl::Status AllToAllV(const Tensor& in,
                         absl::Span<const int64_t> send_counts,
                         const Tensor& out,
                         absl::Span<const int64_t> receive_counts,
                         Stream& stream);
  // Sends and receives as one grouped call. Only the ranks that take part call
  // it; both partners list the transfer, and transfers between the same two
  // ranks pair up in the order in which they are listed. Nothing deadlocks
  // within one call, whatever the order of sends and receives.
  absl::Status Exchange(absl::Span<const Transfer> transfers, Stream& stream);
  // Returns (or, on a deferred stream, completes) when all ranks have come.
  absl::Status Barrier(Stream& stream);

  // The group of ranks that pass the same `color`, ordered by (key, rank); null
  // for a negative color. Collective over this group, blocking.
  absl::StatusOr<std::unique_ptr<Communicator>> Split(int color, int key,
                                                      std::string name);
  // The group of the given ranks of this one, in the order of the list, which
  // holds this rank; null for an empty list. Collective over this group: each
  // rank names the list that it is in, and all lists are disjoint. Works where
  // other ranks only exist in name (sim).
  absl::StatusOr<std::unique_ptr<Communicator>> Subgroup(
      absl::Span<const int> ranks, std::string name);

 protected:
  Communicator(int rank, int size, std::string name,
               std::shared_ptr<Device> device)
      : rank_(rank),
        size_(size),
        name_(std::move(name)),
        device_(std::move(device)) {}

  // Whether the backend itself compares calls, at least where checks() says so.
  // It has what this call must have in common with those of the other ranks in
  // shape(), or in the list of transfers.
  virtual bool compares_calls() const = 0;
  bool checks() const {
    return checks_ && size_ > 1 && device_->type() != DeviceType::kMeta;
  }
  const CallShape& shape() const { return shape_; }
  // Error prefix: `all_reduce on "tensor" (rank 1 of 4)`.
  std::string Where(absl::string_view call) const;

  // The call that is being made, inside a Do... other than DoSplit.
  const TaskLabel& call() const { return call_; }

 private:
  virtual absl::Status DoAllReduce(const Tensor& inout, ReduceOp op,
                                   Stream& stream) = 0;
  virtual absl::Status DoAllGather(const Tensor& in, const Tensor& out,
                                   Stream& stream) = 0;
  virtual absl::Status DoReduceScatter(const Tensor& in, const Tensor& out,
                                       ReduceOp op, Stream& stream) = 0;
  virtual absl::Status DoBroadcast(const Tensor& inout, int root,
                                   Stream& stream) = 0;
  virtual absl::Status DoAllToAllV(const Tensor& in,
                                   absl::Span<const int64_t> send_counts,
                                   const Tensor& out,
                                   absl::Span<const int64_t> receive_counts,
                                   Stream& stream) = 0;
  virtual absl::Status DoExchange(absl::Span<const Transfer> transfers,
                                  Stream& stream) = 0;
  virtual absl::Status DoBarrier(Stream& stream) = 0;
  virtual absl::StatusOr<std::unique_ptr<Communicator>> DoSplit(
      int color, int key, std::string name) = 0;
  // `ranks` holds this rank.
  virtual absl::StatusOr<std::unique_ptr<Communicator>> DoSubgroup(
      absl::Span<const int> ranks, std::string name);

  absl::Status CheckTensor(absl::string_view call, absl::string_view what,
                           const Tensor& tensor, const Stream& stream) const;
  absl::Status CheckPair(absl::string_view call, const Tensor& in,
                         const Tensor& out, const Stream& stream) const;
  // `whole` has size() x the elements of `piece`, which is apart from it or
  // its piece rank().
  absl::Status CheckPieces(absl::string_view call, const Tensor& whole,
                           absl::string_view whole_name, const Tensor& piece,
                           absl::string_view piece_name) const;
  absl::Status CheckApart(absl::string_view call, const Tensor& in,
                          const Tensor& out) const;
  absl::Status CheckCounts(const Tensor& tensor, absl::string_view what,
                           absl::Span<const int64_t> counts,
                           absl::string_view counts_name) const;
  absl::Status CheckTransfers(absl::Span<const Transfer> transfers,
                              const Stream& stream) const;
  // With checks(), for a backend that does not compare calls: whether all ranks
  // are about to make this one. Blocking.
  absl::Status Agree(const CallShape& mine);
  absl::Status AgreeOnCounts(absl::Span<const int64_t> send_counts,
                             absl::Span<const int64_t> receive_counts);
  absl::Status AgreeOnTransfers(absl::Span<const Transfer> transfers);
  template <typename T>
  absl::StatusOr<std::vector<T>> GatherFromAll(const std::vector<T>& mine);
  // Remembers the error that `text` makes; OK where there is none.
  absl::Status Disagrees(absl::string_view text);
  // Counts and records; true when nothing has to move on this device.
  bool Begin(CallKind kind, int64_t bytes, const Stream& stream);
  bool Begin(CallKind kind, const Tensor& tensor, const Stream& stream);
  bool BeginExchange(absl::Span<const Transfer> transfers,
                     const Stream& stream);
  CallMark MarkSplit();
  // The group that a split has made, if any, joins the books of this one.
  void Adopt(Communicator* group, int color);
  absl::Status ExchangeWithSelf(absl::Span<const Transfer> transfers,
                                Stream& stream);

  const int rank_;
  const int size_;
  const std::string name_;
  const std::shared_ptr<Device> device_;
  const OneThread process_{"Communicator"};
  // Shared with the groups that are made from this one.
  std::shared_ptr<std::atomic<bool>> ended_ =
      std::make_shared<std::atomic<bool>>(false);
  bool checks_ = false;
  absl::Status disagreement_;  // that was found here
  CallShape shape_;            // of the collective that is being made
  std::atomic<int64_t> calls_{0};
  std::atomic<int64_t> bytes_{0};
  TaskLabel call_;
  std::shared_ptr<Activity> activity_;         // null: nothing is written down
  std::unique_ptr<GroupActivity> calls_made_;  // null as well in a group of one
};

}  // namespace eisbach::comm
