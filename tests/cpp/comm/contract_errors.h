#pragma once

#include <vector>

#include "absl/strings/match.h"
#include "cpp/comm/contract_exchange.h"

namespace eisbach::comm::contract {

inline absl::Status ExpectError(const absl::Status& status,
                                absl::string_view text) {
  if (absl::IsInvalidArgument(status) &&
      absl::StrContains(status.message(), text)) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("expected an error with \"", text,
                                          "\", got: ", status.ToString()));
}

// Checks of one rank alone: the communicator works on afterwards.
inline absl::Status BadArguments(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  const int n = all.size();
  const std::string where =
      absl::StrCat(" on \"world\" (rank ", all.rank(), " of ", n, ")");

  EISBACH_ASSIGN_OR_RETURN(Tensor ten, Make<float>(device, 10));
  EISBACH_ASSIGN_OR_RETURN(Tensor many, Make<float>(device, 10 * n));
  EISBACH_ASSIGN_OR_RETURN(Tensor more, Make<float>(device, 10 * n + 1));
  EISBACH_ASSIGN_OR_RETURN(Tensor ints, Make<int32_t>(device, 10 * n));
  EISBACH_ASSIGN_OR_RETURN(Tensor matrix,
                           Tensor::Empty({4, 6}, DType::kF32, device));
  EISBACH_ASSIGN_OR_RETURN(Tensor strided, matrix.Transpose(0, 1));
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Device> meta,
                           MakeDevice(DeviceType::kMeta));
  EISBACH_ASSIGN_OR_RETURN(Tensor elsewhere, Make<float>(*meta, 10));

  const auto expect_all =
      [&](std::vector<std::pair<absl::Status, std::string>> cases)
      -> absl::Status {
    for (const auto& [status, text] : cases) {
      EISBACH_RETURN_IF_ERROR(ExpectError(status, text));
    }
    return absl::OkStatus();
  };
  const std::vector<int64_t> even(n, 10);
  std::vector<int64_t> negative(n, 10), self(n, 10);
  negative[0] = -1;
  const ReduceOp sum = ReduceOp::kSum;
  EISBACH_RETURN_IF_ERROR(expect_all({
      {all.AllReduce(Tensor(), sum, stream),
       "all_reduce" + where + ": inout is an undefined tensor"},
      {all.AllReduce(strided, sum, stream), "not contiguous"},
      {all.AllReduce(elsewhere, sum, stream),
       absl::StrCat("f32[10] on meta, not on this rank's ", Name(device.type()),
                    " device")},
      {all.AllReduce(ten, sum, meta->compute_stream()),
       "stream is of another device"},
      {all.AllGather(ten, more, stream),
       absl::StrCat("all_gather", where, ": out has ", 10 * n + 1,
                    " elements; in has 10, times ", n, " ranks is ", 10 * n)},
      {all.AllGather(ten, ints, stream),
       "in is f32 and out i32; they must be the same"},
      {all.ReduceScatter(more, ten, sum, stream), "reduce_scatter"},
      {all.Broadcast(ten, n, stream),
       absl::StrCat("root=", n, " is outside [0, ", n, ")")},
      {all.Broadcast(ten, -1, stream), "root=-1"},
      {all.AllToAll(more, many, stream), "all_to_all"},
      {all.AllToAllV(many, even, many, even, stream), "overlap"},
      {all.AllToAllV(many, {}, many, even, stream), "all_to_all"},
      {all.Exchange({SendTo(n, ten)}, stream),
       absl::StrCat("send [0] has peer=", n)},
      {all.Exchange({ReceiveFrom(-2, ten)}, stream), "receive [0] has peer=-2"},
      {all.Exchange({SendTo(all.rank(), ten)}, stream),
       "1 sends to and 0 receives from itself"},
      {all.Subgroup({all.rank(), all.rank()}, "twice").status(), "distinct"},
      {all.Subgroup({n}, "far").status(), "\"far\""},
  }));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, Make<float>(device, 10 * n));
  EISBACH_RETURN_IF_ERROR(expect_all({
      {all.AllToAllV(many, negative, out, even, stream),
       "send_counts[0]=-1 is negative"},
      {all.AllToAllV(many, even, more, even, stream),
       absl::StrCat("receive_counts add up to ", 10 * n, "; out has ",
                    10 * n + 1)},
  }));
  if (n > 1) {
    EISBACH_ASSIGN_OR_RETURN(Tensor wrong,
                             many.Narrow(0, (all.rank() + 1) % n * 10, 10));
    EISBACH_RETURN_IF_ERROR(ExpectError(all.AllGather(wrong, many, stream),
                                        "overlaps out elsewhere"));
  }
  EISBACH_RETURN_IF_ERROR(Fill<float>(ten, all.rank(), 60));
  EISBACH_RETURN_IF_ERROR(all.AllReduce(ten, sum, stream));
  return Expect<float>(ten, "still works", [&](int64_t i) {
    return Reduced<float>(Iota(n), i, 60, sum);
  });
}

class CountingRecorder final : public Recorder {
 public:
  void OnOp(absl::string_view, const OpCost&, const Stream&) override {}
  void OnCollective(absl::string_view name, absl::string_view group,
                    const CollectiveCost& cost, const Stream&) override {
    lines.push_back(
        absl::StrCat(name, " ", group, " ", cost.bytes, " ", cost.group_size));
  }
  std::vector<std::string> lines;
};

inline absl::Status Stats(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           all.Split(0, all.rank(), "counted"));
  EISBACH_ASSIGN_OR_RETURN(Tensor piece,
                           Filled<float>(device, 10, all.rank(), 61));
  EISBACH_ASSIGN_OR_RETURN(Tensor whole, Make<float>(device, 10 * all.size()));
  CountingRecorder recorder;
  device.set_recorder(&recorder);
  absl::Status status = group->AllReduce(piece, ReduceOp::kSum, stream);
  status.Update(group->AllGather(piece, whole, stream));
  status.Update(group->Barrier(stream));
  device.set_recorder(nullptr);
  EISBACH_RETURN_IF_ERROR(status);
  const CommStats stats = group->stats();
  EISBACH_RETURN_IF_ERROR(ExpectTrue(stats.calls == 3, "calls"));
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue(stats.bytes == 40 + 40 * all.size(), "bytes"));
  const std::vector<std::string> expected = {
      absl::StrCat("all_reduce counted 40 ", all.size()),
      absl::StrCat("all_gather counted ", 40 * all.size(), " ", all.size()),
      absl::StrCat("barrier counted 0 ", all.size())};
  return ExpectTrue(recorder.lines == expected, "the recorder hears it all");
}

}  // namespace eisbach::comm::contract
