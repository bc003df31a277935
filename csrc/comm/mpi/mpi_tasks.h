#pragma once

#include <mpi.h>

#include <memory>

#include "comm/communicator.h"
#include "comm/progress.h"

namespace eisbach::comm {

// Where a task runs. Messages of one communicator are told apart by tags and
// by their order: tasks run one after the other, on every rank in the same
// order.
struct MpiContext {
  MPI_Comm comm;
  int rank;
  int size;
};

// Bytes of temporary memory that a reduction of `elements` a slice needs.
int64_t AllReduceScratchBytes(int64_t elements, DType dtype, int size);
int64_t ReduceScatterScratchBytes(int64_t piece, DType dtype, int size);

// `scratch` has at least that many bytes; tasks of one communicator share it.
std::unique_ptr<Task> MakeMpiAllReduce(const MpiContext& context,
                                       const Tensor& inout, ReduceOp op,
                                       const Tensor& scratch);
std::unique_ptr<Task> MakeMpiReduceScatter(const MpiContext& context,
                                           const Tensor& in, const Tensor& out,
                                           ReduceOp op, const Tensor& scratch);

std::unique_ptr<Task> MakeMpiAllGather(const MpiContext& context,
                                       const Tensor& in, const Tensor& out);
std::unique_ptr<Task> MakeMpiBroadcast(const MpiContext& context,
                                       const Tensor& inout, int root);
std::unique_ptr<Task> MakeMpiAllToAllV(
    const MpiContext& context, const Tensor& in,
    absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts);
std::unique_ptr<Task> MakeMpiExchange(const MpiContext& context,
                                      absl::Span<const Transfer> transfers);
std::unique_ptr<Task> MakeMpiBarrier(const MpiContext& context);

// One tag a purpose.
inline constexpr int kTagMove = 1;     // all-gather, all-to-all, broadcast
inline constexpr int kTagScatter = 2;  // parts on their way to be reduced
inline constexpr int kTagGather = 3;   // reduced parts on their way back
inline constexpr int kTagExchange = 4;
inline constexpr int kTagPartial = 5;  // what some hosts have reduced
inline constexpr int kTagResult = 6;   // what all hosts have reduced

}  // namespace eisbach::comm
