#include "comm/nccl/nccl_communicator.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_stream.h"
#include "device/tracer.h"

namespace eisbach::comm {
namespace {

ncclRedOp_t ToNccl(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return ncclSum;
    case ReduceOp::kMax:
      return ncclMax;
    case ReduceOp::kMin:
      return ncclMin;
  }
  return ncclSum;
}

// A send or a receive of a group of them.
struct Part {
  bool send;
  void* data;
  int64_t bytes;
  int peer;
};

ncclResult_t Grouped(absl::Span<const Part> parts, ncclComm_t comm,
                     cudaStream_t stream) {
  ncclResult_t result = ncclGroupStart();
  if (result != ncclSuccess) return result;
  for (const Part& part : parts) {
    result = part.send ? ncclSend(part.data, part.bytes, ncclUint8, part.peer,
                                  comm, stream)
                       : ncclRecv(part.data, part.bytes, ncclUint8, part.peer,
                                  comm, stream);
    if (result != ncclSuccess && result != ncclInProgress) break;
  }
  const ncclResult_t ended = ncclGroupEnd();
  const bool taken = result == ncclSuccess || result == ncclInProgress;
  return taken ? ended : result;
}

}  // namespace

NcclCommunicator::NcclCommunicator(std::unique_ptr<NcclGroup> group,
                                   std::string name,
                                   std::shared_ptr<Device> device,
                                   std::shared_ptr<Segments> segments)
    : Communicator(group->rank(), group->size(), std::move(name),
                   std::move(device)),
      group_(std::move(group)),
      segments_(std::move(segments)) {
  segments_->Add(group_.get());
}

NcclCommunicator::~NcclCommunicator() { segments_->Forget(group_.get()); }

absl::Status NcclCommunicator::Skip() const {
  call().mark.Done();
  return absl::OkStatus();
}

absl::StatusOr<ncclDataType_t> NcclCommunicator::Reducible(DType dtype) const {
  switch (dtype) {
    case DType::kF32:
      return ncclFloat32;
    case DType::kBF16:
      return ncclBfloat16;
    case DType::kF16:
      return ncclFloat16;
    case DType::kF64:
      return ncclFloat64;
    case DType::kI32:
      return ncclInt32;
    case DType::kI64:
      return ncclInt64;
    case DType::kU8:
      return ncclUint8;
    case DType::kU16:
      break;
  }
  return absl::UnimplementedError(absl::StrCat(
      call().name, " on \"", name(), "\": NCCL does not reduce ", Name(dtype)));
}

absl::Status NcclCommunicator::Launch(
    absl::Span<const Tensor* const> tensors, Stream& stream,
    absl::FunctionRef<ncclResult_t(ncclComm_t)> call) {
  std::vector<std::shared_ptr<Storage>> storages;
  for (const Tensor* tensor : tensors) {
    storages.push_back(tensor->storage());
    EISBACH_RETURN_IF_ERROR(segments_->Reach(*group_, tensor->raw()));
  }
  EISBACH_ASSIGN_OR_RETURN(InFlight::Reached reached,
                           InFlight::Before(cuda::Handle(stream)));
  {
    const SpanLabel label{.kind = SpanKind::kCollective,
                          .name = this->call().name,
                          .detail = name(),
                          .bytes = static_cast<double>(this->call().bytes)};
    const TraceSpan span(stream, label);
    // Nothing else runs on the compute stream meanwhile.
    std::optional<cuda::CudaStepClock::Wait> waits;
    std::optional<TraceSpan> wait;
    if (&stream == &device().compute_stream()) {
      waits.emplace(cuda::DeviceOf(stream).step_clock());
      wait.emplace(stream, SpanLabel{.kind = SpanKind::kWait,
                                     .name = label.name,
                                     .detail = label.detail});
    }
    EISBACH_RETURN_IF_ERROR(group_->Call(this->call().name, call));
  }
  EISBACH_RETURN_IF_ERROR(group_->in_flight().Add(
      this->call().mark, std::move(reached), cuda::Handle(stream)));
  return stream.KeepUntilPassed(std::move(storages));
}

absl::Status NcclCommunicator::DoAllReduce(const Tensor& inout, ReduceOp op,
                                           Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const ncclDataType_t type, Reducible(inout.dtype()));
  if (inout.elements() == 0) return Skip();
  return Launch({&inout}, stream, [&](ncclComm_t comm) {
    return ncclAllReduce(inout.raw(), inout.raw(), inout.elements(), type,
                         ToNccl(op), comm, cuda::Handle(stream));
  });
}

absl::Status NcclCommunicator::DoAllGather(const Tensor& in, const Tensor& out,
                                           Stream& stream) {
  if (in.elements() == 0) return Skip();
  return Launch({&in, &out}, stream, [&](ncclComm_t comm) {
    return ncclAllGather(in.raw(), out.raw(), in.bytes(), ncclUint8, comm,
                         cuda::Handle(stream));
  });
}

absl::Status NcclCommunicator::DoReduceScatter(const Tensor& in,
                                               const Tensor& out, ReduceOp op,
                                               Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(const ncclDataType_t type, Reducible(in.dtype()));
  if (out.elements() == 0) return Skip();
  return Launch({&in, &out}, stream, [&](ncclComm_t comm) {
    return ncclReduceScatter(in.raw(), out.raw(), out.elements(), type,
                             ToNccl(op), comm, cuda::Handle(stream));
  });
}

absl::Status NcclCommunicator::DoBroadcast(const Tensor& inout, int root,
                                           Stream& stream) {
  if (inout.elements() == 0) return Skip();
  return Launch({&inout}, stream, [&](ncclComm_t comm) {
    return ncclBroadcast(inout.raw(), inout.raw(), inout.bytes(), ncclUint8,
                         root, comm, cuda::Handle(stream));
  });
}

absl::Status NcclCommunicator::DoAllToAllV(
    const Tensor& in, absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts, Stream& stream) {
  const int64_t unit = static_cast<int64_t>(SizeOf(in.dtype()));
  char* from = static_cast<char*>(in.raw());
  char* to = static_cast<char*>(out.raw());
  std::vector<Part> parts;
  for (int peer = 0; peer < size(); ++peer) {
    const int64_t sent = send_counts[peer] * unit;
    const int64_t received = receive_counts[peer] * unit;
    if (peer == rank()) {
      if (sent > 0) {
        EISBACH_RETURN_IF_ERROR(device().CopyOnDevice(to, from, sent, stream));
      }
    } else {
      if (sent > 0) parts.push_back({true, from, sent, peer});
      if (received > 0) parts.push_back({false, to, received, peer});
    }
    from += sent;
    to += received;
  }
  return Launch({&in, &out}, stream, [&](ncclComm_t comm) {
    return Grouped(parts, comm, cuda::Handle(stream));
  });
}

absl::Status NcclCommunicator::DoExchange(absl::Span<const Transfer> transfers,
                                          Stream& stream) {
  std::vector<Part> parts;
  std::vector<const Tensor*> tensors, own_sends, own_receives;
  for (const Transfer& transfer : transfers) {
    const Tensor& tensor = transfer.tensor;
    if (tensor.elements() == 0) continue;  // its partner leaves it out as well
    const bool send = transfer.kind == Transfer::Kind::kSend;
    tensors.push_back(&tensor);
    if (transfer.peer == rank()) {
      (send ? own_sends : own_receives).push_back(&tensor);
    } else {
      parts.push_back({send, tensor.raw(), Bytes(tensor), transfer.peer});
    }
  }
  for (size_t i = 0; i < own_sends.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(
        device().CopyOnDevice(own_receives[i]->raw(), own_sends[i]->raw(),
                              own_sends[i]->bytes(), stream));
  }
  return Launch(tensors, stream, [&](ncclComm_t comm) {
    return Grouped(parts, comm, cuda::Handle(stream));
  });
}

absl::Status NcclCommunicator::DoBarrier(Stream& stream) {
  if (!barrier_.defined()) {
    EISBACH_ASSIGN_OR_RETURN(
        barrier_, Tensor::Zeros({1}, DType::kI32, device().compute_stream()));
  }
  return DoAllReduce(barrier_, ReduceOp::kMax, stream);
}

absl::StatusOr<std::unique_ptr<Communicator>> NcclCommunicator::DoSplit(
    int color, int key, std::string name) {
  auto group = std::make_unique<NcclGroup>(name, group_->watchdog());
  EISBACH_RETURN_IF_ERROR(group->SplitFrom(*group_, color, key));
  if (!group->joined()) return nullptr;
  return std::make_unique<NcclCommunicator>(std::move(group), std::move(name),
                                            device().shared_from_this(),
                                            segments_);
}

}  // namespace eisbach::comm
