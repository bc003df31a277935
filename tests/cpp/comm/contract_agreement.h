#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "cpp/comm/contract_errors.h"

// With CheckCalls: what differs is named before data moves.
namespace eisbach::comm::contract {

// A call that rank 1 makes in its own way, and how both sides are spelled.
struct OddCall {
  std::function<absl::Status(Communicator& group, bool odd)> call;
  std::string odd, others;
};

inline absl::Status CheckOddCall(World& world, const OddCall& odd_call) {
  Communicator& all = world.communicator();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           all.Split(0, all.rank(), "odd"));
  group->CheckCalls();
  const absl::Status status = odd_call.call(*group, all.rank() == 1);
  const std::string side = absl::StrCat("rank 1 calls ", odd_call.odd);
  for (const std::string& text : {side, odd_call.others}) {
    if (absl::IsInvalidArgument(status) &&
        absl::StrContains(status.message(), text)) {
      continue;
    }
    return absl::InternalError(absl::StrCat("expected an error with \"", text,
                                            "\", got: ", status.ToString()));
  }
  // It is the end of that group, and of no other.
  const absl::Status later = group->Barrier(world.device().compute_stream());
  return ExpectTrue(later.code() == status.code(), "a later call fails too");
}

inline absl::Status DifferentCollectives(World& world) {
  if (world.size() == 1) return absl::OkStatus();
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  const int n = world.size(), me = world.rank();
  EISBACH_ASSIGN_OR_RETURN(Tensor ten, Filled<float>(device, 10, me, 70));
  EISBACH_ASSIGN_OR_RETURN(Tensor nine, Filled<float>(device, 9, me, 70));
  EISBACH_ASSIGN_OR_RETURN(Tensor ints, Make<int32_t>(device, 10));
  EISBACH_ASSIGN_OR_RETURN(Tensor more, Make<float>(device, 300000));
  EISBACH_ASSIGN_OR_RETURN(Tensor most, Make<float>(device, 300001));
  EISBACH_ASSIGN_OR_RETURN(Tensor many, Make<float>(device, 10 * n));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, Make<float>(device, 10 * n));
  const ReduceOp sum = ReduceOp::kSum;
  const std::vector<OddCall> calls = {
      {[&](Communicator& group, bool odd) {
         return group.AllReduce(odd ? nine : ten, sum, stream);
       },
       "all_reduce (sum) of 9 f32", "all_reduce (sum) of 10 f32"},
      {[&](Communicator& group, bool odd) {
         return group.AllReduce(odd ? most : more, sum, stream);
       },
       "all_reduce (sum) of 300001 f32", "(sum) of 300000 f32"},
      {[&](Communicator& group, bool odd) {
         return group.AllReduce(odd ? ints : ten, sum, stream);
       },
       "all_reduce (sum) of 10 i32", "all_reduce (sum) of 10 f32"},
      {[&](Communicator& group, bool odd) {
         return group.AllReduce(ten, odd ? ReduceOp::kMax : sum, stream);
       },
       "all_reduce (max) of 10 f32", "all_reduce (sum) of 10 f32"},
      {[&](Communicator& group, bool odd) {
         return group.Broadcast(ten, odd ? 1 : 0, stream);
       },
       "broadcast of 10 f32 from rank 1", "broadcast of 10 f32 from rank 0"},
      // Another order: a call is left out.
      {[&](Communicator& group, bool odd) {
         return odd ? group.AllGather(ten, many, stream)
                    : group.Barrier(stream);
       },
       "all_gather of 10 f32", "barrier"},
      {[&](Communicator& group, bool odd) {
         return odd ? group.ReduceScatter(many, ten, sum, stream)
                    : group.AllToAll(many, out, stream);
       },
       absl::StrCat("reduce_scatter (sum) of ", 10 * n, " f32"),
       "all_to_all of f32"},
      {[&](Communicator& group, bool odd) {
         return odd ? group.Split(0, 0, "half").status()
                    : group.AllReduce(ten, sum, stream);
       },
       "split", "all_reduce (sum) of 10 f32"},
  };
  for (const OddCall& call : calls) {
    EISBACH_RETURN_IF_ERROR(CheckOddCall(world, call));
  }
  return Expect<float>(ten, "nothing was summed",
                       [&](int64_t i) { return Value<float>(me, i, 70); });
}

inline absl::Status DifferentCounts(World& world) {
  Communicator& all = world.communicator();
  const int n = all.size();
  if (n == 1) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           all.Split(0, all.rank(), "odd"));
  group->CheckCalls();
  std::vector<int64_t> sends(n, 5);
  const std::vector<int64_t> receives(n, 5);
  if (all.rank() == 0) sends[1] = 6;  // rank 1 expects 5
  EISBACH_ASSIGN_OR_RETURN(
      Tensor in, Make<float>(world.device(), 5 * n + (all.rank() == 0)));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, Make<float>(world.device(), 5 * n));
  return ExpectError(group->AllToAllV(in, sends, out, receives,
                                      world.device().compute_stream()),
                     "rank 0 sends 6 elements to rank 1, which expects 5");
}

// The receiver names both sides, and the sender is not left waiting.
inline absl::Status DifferentTransfers(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  if (all.size() == 1) return absl::OkStatus();
  struct Case {
    int64_t sent, expected;
    bool ints;
    const char* text;
  };
  for (const Case& one :
       {Case{10, 9, false,
             "sends 40 bytes of f32 to rank 1, which expects 36 "},
        Case{9, 10, false,
             "sends 36 bytes of f32 to rank 1, which expects 40 "},
        Case{10, 10, true, "of f32 to rank 1, which expects 40 of i32"}}) {
    EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                             all.Split(0, all.rank(), "odd"));
    group->CheckCalls();
    if (all.rank() == 0) {
      EISBACH_ASSIGN_OR_RETURN(Tensor out, Make<float>(device, one.sent));
      const absl::Status sent = group->Exchange({SendTo(1, out)}, stream);
      EISBACH_RETURN_IF_ERROR(
          ExpectTrue(sent.ok() || absl::IsInvalidArgument(sent), "sender"));
    } else if (all.rank() == 1) {
      EISBACH_ASSIGN_OR_RETURN(Tensor in,
                               one.ints ? Make<int32_t>(device, one.expected)
                                        : Make<float>(device, one.expected));
      EISBACH_RETURN_IF_ERROR(
          ExpectError(group->Exchange({ReceiveFrom(0, in)}, stream), one.text));
    }
  }
  return absl::OkStatus();
}

}  // namespace eisbach::comm::contract
