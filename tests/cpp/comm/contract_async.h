#pragma once

#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "cpp/comm/contract_collectives.h"
#include "cpp/comm/contract_exchange.h"

namespace eisbach::comm::contract {

// Two communicators, each on a stream of its own, given their work in a
// different order on even and odd ranks: neither may hold up the other. NCCL
// wants one order on all ranks.
inline absl::Status AsyncOverlap(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> other,
                           all.Split(0, all.rank(), "other"));
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> first, device.NewStream());
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> second, device.NewStream());
  const int order = all.transport() == "nccl" ? 0 : all.rank();
  for (int64_t elements : {int64_t{10}, int64_t{300001}}) {
    EISBACH_ASSIGN_OR_RETURN(Tensor a,
                             Filled<float>(device, elements, all.rank(), 40));
    EISBACH_ASSIGN_OR_RETURN(Tensor b,
                             Filled<float>(device, elements, all.rank(), 41));
    for (int turn = 0; turn < 2; ++turn) {
      if ((order + turn) % 2 == 0) {
        EISBACH_RETURN_IF_ERROR(all.AllReduce(a, ReduceOp::kSum, *first));
      } else {
        EISBACH_RETURN_IF_ERROR(other->AllReduce(b, ReduceOp::kMax, *second));
      }
    }
    EISBACH_RETURN_IF_ERROR(second->Synchronize());
    EISBACH_RETURN_IF_ERROR(first->Synchronize());
    EISBACH_RETURN_IF_ERROR(Expect<float>(a, "first stream", [&](int64_t i) {
      return Reduced<float>(Iota(all.size()), i, 40, ReduceOp::kSum);
    }));
    EISBACH_RETURN_IF_ERROR(Expect<float>(b, "second stream", [&](int64_t i) {
      return Reduced<float>(Iota(all.size()), i, 41, ReduceOp::kMax);
    }));
  }
  return absl::OkStatus();
}

// A gather on one stream waits for the reduction on another, through an event.
inline absl::Status AsyncChain(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> other,
                           all.Split(0, all.rank(), "other"));
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> first, device.NewStream());
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> second, device.NewStream());
  const int64_t n = 100003;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor whole, Filled<float>(device, n * all.size(), all.rank(), 42));
  EISBACH_ASSIGN_OR_RETURN(Tensor piece, Make<float>(device, n));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, Make<float>(device, n * all.size()));
  EISBACH_RETURN_IF_ERROR(
      all.ReduceScatter(whole, piece, ReduceOp::kSum, *first));
  EISBACH_ASSIGN_OR_RETURN(Event reduced, first->Record());
  EISBACH_RETURN_IF_ERROR(second->Wait(reduced));
  EISBACH_RETURN_IF_ERROR(other->AllGather(piece, out, *second));
  EISBACH_ASSIGN_OR_RETURN(Event gathered, second->Record());
  EISBACH_RETURN_IF_ERROR(device.compute_stream().Wait(gathered));
  return Expect<float>(out, "chain", [&](int64_t i) {
    return Reduced<float>(Iota(all.size()), i, 42, ReduceOp::kSum);
  });
}

// Work goes on while nobody waits for it.
inline absl::Status AsyncPoll(World& world) {
  Communicator& all = world.communicator();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream,
                           world.device().NewStream());
  EISBACH_ASSIGN_OR_RETURN(
      Tensor x, Filled<float>(world.device(), 100000, all.rank(), 43));
  EISBACH_RETURN_IF_ERROR(all.AllReduce(x, ReduceOp::kSum, *stream));
  EISBACH_ASSIGN_OR_RETURN(Event done, stream->Record());
  const absl::Time deadline = absl::Now() + absl::Minutes(10);
  while (!done.Done()) {
    EISBACH_RETURN_IF_ERROR(ExpectTrue(absl::Now() < deadline, "progress"));
    absl::SleepFor(absl::Milliseconds(1));
  }
  EISBACH_RETURN_IF_ERROR(done.Wait());
  return Expect<float>(x, "polled", [&](int64_t i) {
    return Reduced<float>(Iota(all.size()), i, 43, ReduceOp::kSum);
  });
}

// Inline calls of one communicator between deferred ones of it and another.
inline absl::Status AsyncWithInline(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> other,
                           all.Split(0, -all.rank(), "other"));
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, device.NewStream());
  std::vector<Tensor> deferred;
  for (int k = 0; k < 8; ++k) {
    EISBACH_ASSIGN_OR_RETURN(Tensor x,
                             Filled<float>(device, 50001, all.rank(), 50 + k));
    Communicator& group = k % 2 == 0 ? all : *other;
    EISBACH_RETURN_IF_ERROR(group.AllReduce(x, ReduceOp::kMin, *stream));
    deferred.push_back(x);
    EISBACH_RETURN_IF_ERROR(AllReduceOf<float>(
        all, Iota(all.size()), 77, ReduceOp::kSum, device.compute_stream()));
  }
  EISBACH_RETURN_IF_ERROR(stream->Synchronize());
  for (int k = 0; k < 8; ++k) {
    EISBACH_RETURN_IF_ERROR(
        Expect<float>(deferred[k], "deferred", [&](int64_t i) {
          return Reduced<float>(Iota(all.size()), i, 50 + k, ReduceOp::kMin);
        }));
  }
  return absl::OkStatus();
}

// Tensors whose owners have let go live until their call is done, and their
// memory is free afterwards.
inline absl::Status ManyInFlight(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, device.NewStream());
  const int64_t before = device.memory().bytes_in_use;
  const int next = (all.rank() + 1) % all.size();
  const int previous = (all.rank() + all.size() - 1) % all.size();
  std::vector<Tensor> received;
  for (int k = 0; k < 60; ++k) {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor out, Filled<uint16_t>(device, 1 + k * 700, all.rank(), k));
    EISBACH_ASSIGN_OR_RETURN(Tensor in, Make<uint16_t>(device, 1 + k * 700));
    EISBACH_RETURN_IF_ERROR(
        all.Exchange({SendTo(next, out), ReceiveFrom(previous, in)}, *stream));
    received.push_back(in);
  }
  EISBACH_RETURN_IF_ERROR(stream->Synchronize());
  for (int k = 0; k < 60; ++k) {
    EISBACH_RETURN_IF_ERROR(Expect<uint16_t>(
        received[k], "in flight",
        [&](int64_t i) { return Value<uint16_t>(previous, i, k); }));
  }
  received.clear();
  return ExpectTrue(device.memory().bytes_in_use == before,
                    "memory is given back");
}

}  // namespace eisbach::comm::contract
