#pragma once

#include <nccl.h>

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "comm/communicator.h"
#include "comm/nccl/nccl_group.h"
#include "comm/nccl/segments.h"

namespace eisbach::comm {

// Ranks that are processes with a GPU each. A call puts NCCL's kernel on the
// given CUDA stream and returns; the host waits only for the first call of its
// kind with a peer, for which NCCL connects the two.
//
// What NCCL computes differs from the other backends in two ways: it adds in
// an order that depends on the topology and the size of a tensor (but not on
// the run), and sums of bf16 and f16 may be rounded at every hop. Every rank
// has the same bits. Reductions of u16 are Unimplemented.
class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<NcclGroup> group, std::string name,
                   std::shared_ptr<Device> device,
                   std::shared_ptr<Segments> segments);
  ~NcclCommunicator() override;

  absl::string_view transport() const override { return "nccl"; }
  absl::StatusOr<Interconnect> interconnect() override;  // interconnect.cc

 private:
  bool compares_calls() const override { return false; }
  absl::Status DoAllReduce(const Tensor& inout, ReduceOp op,
                           Stream& stream) override;
  absl::Status DoAllGather(const Tensor& in, const Tensor& out,
                           Stream& stream) override;
  absl::Status DoReduceScatter(const Tensor& in, const Tensor& out, ReduceOp op,
                               Stream& stream) override;
  absl::Status DoBroadcast(const Tensor& inout, int root,
                           Stream& stream) override;
  absl::Status DoAllToAllV(const Tensor& in,
                           absl::Span<const int64_t> send_counts,
                           const Tensor& out,
                           absl::Span<const int64_t> receive_counts,
                           Stream& stream) override;
  absl::Status DoExchange(absl::Span<const Transfer> transfers,
                          Stream& stream) override;
  absl::Status DoBarrier(Stream& stream) override;
  absl::StatusOr<std::unique_ptr<Communicator>> DoSplit(
      int color, int key, std::string name) override;

  // Gives `call` to NCCL and keeps the tensors until the stream has passed it.
  absl::Status Launch(absl::Span<const Tensor* const> tensors, Stream& stream,
                      absl::FunctionRef<ncclResult_t(ncclComm_t)> call);
  // Nothing to move.
  absl::Status Skip() const;
  absl::StatusOr<ncclDataType_t> Reducible(DType dtype) const;

  const std::unique_ptr<NcclGroup> group_;
  const std::shared_ptr<Segments> segments_;
  Tensor barrier_;  // one element, made by the first barrier
};

}  // namespace eisbach::comm
