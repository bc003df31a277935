#include "support/cuda/nccl_transfers.h"

#include <cstring>
#include <utility>

#include "core/dtype.h"
#include "device/cpu/reduce.h"

namespace eisbach::doubles {
namespace {

DType ToDType(ncclDataType_t type) {
  switch (type) {
    case ncclFloat32:
      return DType::kF32;
    case ncclFloat64:
      return DType::kF64;
    case ncclFloat16:
      return DType::kF16;
    case ncclBfloat16:
      return DType::kBF16;
    case ncclInt32:
      return DType::kI32;
    case ncclInt64:
      return DType::kI64;
    default:
      return DType::kU8;
  }
}

void Reduce(const NcclCall& call,
            const std::vector<std::vector<char>>& inputs) {
  const cpu::Reduction op = call.op == ncclMax   ? cpu::Reduction::kMax
                            : call.op == ncclMin ? cpu::Reduction::kMin
                                                 : cpu::Reduction::kSum;
  std::vector<const void*> pointers;
  for (const std::vector<char>& input : inputs) {
    pointers.push_back(input.data());
  }
  cpu::ReduceInOrder(ToDType(call.type), op, pointers, call.out,
                     static_cast<int64_t>(call.bytes / SizeOf(call.type)));
}

}  // namespace

size_t SizeOf(ncclDataType_t type) {
  switch (type) {
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclFloat64:
      return 8;
    default:
      return 0;
  }
}

Transfers::Transfers(const std::vector<NcclCall>& calls, const CallOrder& order,
                     MPI_Comm comm)
    : comm_(comm),
      agreement_(calls, order, comm),
      calls_(calls),
      buffers_(calls.size()) {
  MPI_Comm_rank(comm, &rank_);
  MPI_Comm_size(comm, &size_);
  for (size_t i = 0; i < calls_.size(); ++i) Start(calls_[i], buffers_[i]);
}

void Transfers::Send(const char* data, size_t bytes, int peer) {
  requests_.emplace_back();
  expected_.push_back(-1);
  MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, peer, 0, comm_,
            &requests_.back());
}

void Transfers::Receive(std::vector<char>& buffer, size_t bytes, int peer) {
  buffer.resize(bytes);
  requests_.emplace_back();
  expected_.push_back(static_cast<int>(bytes));
  MPI_Irecv(buffer.data(), static_cast<int>(bytes), MPI_BYTE, peer, 0, comm_,
            &requests_.back());
}

void Transfers::Start(const NcclCall& call, Buffers& buffers) {
  buffers.resize(size_);
  const bool scatters = call.kind == Kind::kReduceScatter;
  const auto copy = [&](size_t bytes) {
    const char* in = static_cast<const char*>(call.in);
    sent_.emplace_back(in, in + bytes);
    return sent_.back().data();  // moves of the outer vector leave it there
  };
  switch (call.kind) {
    case Kind::kAllReduce:
    case Kind::kReduceScatter:
    case Kind::kAllGather: {
      const char* mine = copy(call.bytes * (scatters ? size_ : 1));
      for (int peer = 0; peer < size_; ++peer) {
        const char* piece = scatters ? mine + peer * call.bytes : mine;
        if (peer == rank_) {
          buffers[peer].assign(piece, piece + call.bytes);
        } else {
          Send(piece, call.bytes, peer);
          Receive(buffers[peer], call.bytes, peer);
        }
      }
      break;
    }
    case Kind::kBroadcast:
      if (rank_ == call.peer) {
        const char* mine = copy(call.bytes);
        for (int peer = 0; peer < size_; ++peer) {
          if (peer != rank_) Send(mine, call.bytes, peer);
        }
      } else {
        Receive(buffers[call.peer], call.bytes, call.peer);
      }
      break;
    case Kind::kSend:
      Send(copy(call.bytes), call.bytes, call.peer);
      break;
    case Kind::kReceive:
      Receive(buffers[call.peer], call.bytes, call.peer);
      break;
  }
}

void Transfers::Finish(const NcclCall& call, Buffers& buffers) {
  char* out = static_cast<char*>(call.out);
  switch (call.kind) {
    case Kind::kAllReduce:
    case Kind::kReduceScatter:
      Reduce(call, buffers);
      break;
    case Kind::kAllGather:
      for (int peer = 0; peer < size_; ++peer) {
        std::memcpy(out + peer * call.bytes, buffers[peer].data(), call.bytes);
      }
      break;
    case Kind::kBroadcast:
    case Kind::kReceive:
      if (call.kind == Kind::kReceive || rank_ != call.peer) {
        std::memcpy(out, buffers[call.peer].data(), call.bytes);
      } else if (call.in != call.out) {
        std::memcpy(out, call.in, call.bytes);
      }
      break;
    case Kind::kSend:
      break;
  }
}

Transfers::State Transfers::Fail(std::string error) {
  error_ = std::move(error);
  return State::kFailed;
}

Transfers::State Transfers::Poll() {
  // Data comes after what its sender tells of it, so that a difference is named
  // before it shows as too many bytes.
  int here = 0;
  statuses_.resize(requests_.size());
  const bool moves = moved_ || MPI_Testall(static_cast<int>(requests_.size()),
                                           requests_.data(), &here,
                                           statuses_.data()) == MPI_SUCCESS;
  moved_ = moved_ || here;
  std::string error;
  const bool agreed = agreement_.Poll(error);
  if (!error.empty()) return Fail(std::move(error));
  if (!moves) return Fail("a peer is gone, or sends more than is expected");
  if (!moved_ || !agreed) return State::kUnderWay;
  for (size_t i = 0; i < statuses_.size(); ++i) {
    int received = 0;
    if (expected_[i] < 0) continue;
    MPI_Get_count(&statuses_[i], MPI_BYTE, &received);
    if (received != expected_[i]) {
      return Fail("a peer sends less than is expected");
    }
  }
  for (size_t i = 0; i < calls_.size(); ++i) Finish(calls_[i], buffers_[i]);
  return State::kDone;
}

}  // namespace eisbach::doubles
