#include "comm/communicator.h"

#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

// A group of one moves nothing, but copies in the order of the stream.
absl::Status CopyWithin(const Tensor& in, const Tensor& out, Stream& stream) {
  if (in.raw() == out.raw() || in.bytes() == 0) return absl::OkStatus();
  if (stream.device().type() == DeviceType::kCuda) {
    EISBACH_RETURN_IF_ERROR(
        stream.device().CopyOnDevice(out.raw(), in.raw(), in.bytes(), stream));
    return stream.KeepUntilPassed({in.storage(), out.storage()});
  }
  for (const Event& event : stream.Dependencies()) {
    EISBACH_RETURN_IF_ERROR(event.Wait());
  }
  return stream.device().CopyOnDevice(out.raw(), in.raw(), in.bytes(), stream);
}

}  // namespace

CommStats Communicator::stats() const {
  return {.calls = calls_.load(std::memory_order_relaxed),
          .bytes = bytes_.load(std::memory_order_relaxed)};
}

absl::Status Communicator::CheckJoined() const {
  EISBACH_RETURN_IF_ERROR(process_.CheckProcess());
  if (!ended_->load(std::memory_order_acquire)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the job has ended (world.finalize): what needs its ranks comes before");
}

absl::StatusOr<Interconnect> Communicator::interconnect() {
  return absl::UnimplementedError(
      absl::StrCat("transport ", transport(), " of \"", name_,
                   "\" does not know what connects its ranks"));
}

void Communicator::Record(std::shared_ptr<Activity> activity) {
  activity_ = std::move(activity);
  if (size_ == 1) return;
  calls_made_ = std::make_unique<GroupActivity>(activity_, name_, rank_, size_);
}

void Communicator::Adopt(Communicator* group, int color) {
  if (group == nullptr) return;
  group->ended_ = ended_;
  group->checks_ = checks_;
  group->activity_ = activity_;
  if (calls_made_ == nullptr || group->size_ == 1) return;
  group->calls_made_ = std::make_unique<GroupActivity>(
      *calls_made_, group->name_, color, group->rank_, group->size_);
}

bool Communicator::Begin(CallKind kind, int64_t bytes, const Stream& stream) {
  const absl::string_view call = Name(kind);
  calls_.fetch_add(1, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
  call_ = {.name = call, .bytes = bytes};
  if (Recorder* recorder = device_->recorder(); recorder != nullptr) {
    recorder->OnCollective(
        call, name_, {.bytes = static_cast<double>(bytes), .group_size = size_},
        stream);
  }
  return device_->type() == DeviceType::kMeta;
}

bool Communicator::Begin(CallKind kind, const Tensor& tensor,
                         const Stream& stream) {
  const bool over = Begin(kind, Bytes(tensor), stream);
  if (calls_made_ != nullptr) {
    call_.mark = calls_made_->Collective(kind, tensor.dtype(), Bytes(tensor),
                                         tensor.elements());
  }
  return over;
}

bool Communicator::BeginExchange(absl::Span<const Transfer> transfers,
                                 const Stream& stream) {
  int64_t bytes = 0;
  for (const Transfer& transfer : transfers) bytes += Bytes(transfer.tensor);
  const bool over =
      Begin(CallKind::kExchange, bytes, stream) || transfers.empty();
  if (calls_made_ == nullptr || over) return over;
  absl::InlinedVector<GroupActivity::Side, 4> sides;
  for (const Transfer& transfer : transfers) {
    if (transfer.peer == rank_) continue;
    sides.push_back({.peer = transfer.peer,
                     .send = transfer.kind == Transfer::Kind::kSend});
  }
  call_.mark = calls_made_->Exchange(bytes, sides);
  return over;
}

absl::Status Communicator::AllReduce(const Tensor& inout, ReduceOp op,
                                     Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckTensor("all_reduce", "inout", inout, stream));
  if (Begin(CallKind::kAllReduce, inout, stream) || size_ == 1)
    return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kAllReduce,
                                 .dtype = inout.dtype(),
                                 .op = op,
                                 .elements = inout.elements()}));
  return DoAllReduce(inout, op, stream);
}

absl::Status Communicator::AllGather(const Tensor& in, const Tensor& out,
                                     Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckPair("all_gather", in, out, stream));
  EISBACH_RETURN_IF_ERROR(CheckPieces("all_gather", out, "out", in, "in"));
  if (Begin(CallKind::kAllGather, out, stream)) return absl::OkStatus();
  if (size_ == 1) return CopyWithin(in, out, stream);
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kAllGather,
                                 .dtype = in.dtype(),
                                 .elements = in.elements()}));
  return DoAllGather(in, out, stream);
}

absl::Status Communicator::ReduceScatter(const Tensor& in, const Tensor& out,
                                         ReduceOp op, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckPair("reduce_scatter", in, out, stream));
  EISBACH_RETURN_IF_ERROR(CheckPieces("reduce_scatter", in, "in", out, "out"));
  if (Begin(CallKind::kReduceScatter, in, stream)) return absl::OkStatus();
  if (size_ == 1) return CopyWithin(in, out, stream);
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kReduceScatter,
                                 .dtype = in.dtype(),
                                 .op = op,
                                 .elements = in.elements()}));
  return DoReduceScatter(in, out, op, stream);
}

absl::Status Communicator::Broadcast(const Tensor& inout, int root,
                                     Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckTensor("broadcast", "inout", inout, stream));
  if (root < 0 || root >= size_) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where("broadcast"), ": root=", root, " is outside [0, ", size_, ")"));
  }
  if (Begin(CallKind::kBroadcast, inout, stream) || size_ == 1)
    return absl::OkStatus();
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kBroadcast,
                                 .dtype = inout.dtype(),
                                 .root = root,
                                 .elements = inout.elements()}));
  return DoBroadcast(inout, root, stream);
}

absl::Status Communicator::AllToAll(const Tensor& in, const Tensor& out,
                                    Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckPair("all_to_all", in, out, stream));
  if (in.elements() % size_ != 0 || in.elements() != out.elements()) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where("all_to_all"), ": in has ", in.elements(), " elements and out ",
        out.elements(), "; both need the same multiple of ", size_));
  }
  const std::vector<int64_t> counts(size_, in.elements() / size_);
  return AllToAllV(in, counts, out, counts, stream);
}

absl::Status Communicator::AllToAllV(const Tensor& in,
                                     absl::Span<const int64_t> send_counts,
                                     const Tensor& out,
                                     absl::Span<const int64_t> receive_counts,
                                     Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckPair("all_to_all", in, out, stream));
  EISBACH_RETURN_IF_ERROR(CheckApart("all_to_all", in, out));
  EISBACH_RETURN_IF_ERROR(CheckCounts(in, "in", send_counts, "send_counts"));
  EISBACH_RETURN_IF_ERROR(
      CheckCounts(out, "out", receive_counts, "receive_counts"));
  if (send_counts[rank_] != receive_counts[rank_]) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where("all_to_all"), ": sends itself ", send_counts[rank_],
        " elements and receives ", receive_counts[rank_], " from itself"));
  }
  if (Begin(CallKind::kAllToAll, in, stream)) return absl::OkStatus();
  if (size_ == 1) return CopyWithin(in, out, stream);
  EISBACH_RETURN_IF_ERROR(
      Agree({.kind = CallKind::kAllToAll, .dtype = in.dtype()}));
  EISBACH_RETURN_IF_ERROR(AgreeOnCounts(send_counts, receive_counts));
  return DoAllToAllV(in, send_counts, out, receive_counts, stream);
}

absl::Status Communicator::Exchange(absl::Span<const Transfer> transfers,
                                    Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckTransfers(transfers, stream));
  if (BeginExchange(transfers, stream)) return absl::OkStatus();
  if (size_ == 1) return ExchangeWithSelf(transfers, stream);
  EISBACH_RETURN_IF_ERROR(AgreeOnTransfers(transfers));
  return DoExchange(transfers, stream);
}

absl::Status Communicator::ExchangeWithSelf(
    absl::Span<const Transfer> transfers, Stream& stream) {
  std::vector<const Tensor*> sends, receives;
  for (const Transfer& transfer : transfers) {
    (transfer.kind == Transfer::Kind::kSend ? sends : receives)
        .push_back(&transfer.tensor);
  }
  for (size_t i = 0; i < sends.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(CopyWithin(*sends[i], *receives[i], stream));
  }
  return absl::OkStatus();
}

absl::Status Communicator::Barrier(Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckJoined());
  if (&stream.device() != device_.get()) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where("barrier"), ": the stream is of another device"));
  }
  if (Begin(CallKind::kBarrier, 0, stream) || size_ == 1)
    return absl::OkStatus();
  if (calls_made_ != nullptr) {
    call_.mark = calls_made_->Collective(CallKind::kBarrier, DType::kU8, 0, 0);
  }
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kBarrier}));
  return DoBarrier(stream);
}

CallMark Communicator::MarkSplit() {
  if (calls_made_ == nullptr) return {};
  const CallMark mark =
      calls_made_->Collective(CallKind::kSplit, DType::kU8, 0, 0);
  mark.Begun(Tracer::Now());
  call_ = {.name = Name(CallKind::kSplit), .mark = mark};
  return mark;
}

absl::StatusOr<std::unique_ptr<Communicator>> Communicator::Split(
    int color, int key, std::string name) {
  EISBACH_RETURN_IF_ERROR(CheckJoined());
  const CallMark mark = MarkSplit();
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kSplit}));
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           DoSplit(color, key, std::move(name)));
  mark.Done();
  Adopt(group.get(), color);
  return group;
}

absl::StatusOr<std::unique_ptr<Communicator>> Communicator::Subgroup(
    absl::Span<const int> ranks, std::string name) {
  EISBACH_RETURN_IF_ERROR(CheckJoined());
  std::vector<int> sorted(ranks.begin(), ranks.end());
  std::sort(sorted.begin(), sorted.end());
  const bool distinct =
      std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  const bool in_range =
      sorted.empty() || (sorted.front() >= 0 && sorted.back() < size_);
  const bool has_self =
      sorted.empty() || std::binary_search(sorted.begin(), sorted.end(), rank_);
  if (!distinct || !in_range || !has_self) {
    return absl::InvalidArgumentError(
        absl::StrCat(Where("subgroup"), ": ranks [", absl::StrJoin(ranks, ", "),
                     "] of \"", name, "\" must be distinct, in [0, ", size_,
                     ") and hold rank ", rank_));
  }
  const CallMark mark = MarkSplit();
  EISBACH_RETURN_IF_ERROR(Agree({.kind = CallKind::kSplit}));
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           DoSubgroup(ranks, std::move(name)));
  mark.Done();
  Adopt(group.get(), sorted.empty() ? -1 : sorted.front());
  return group;
}

absl::StatusOr<std::unique_ptr<Communicator>> Communicator::DoSubgroup(
    absl::Span<const int> ranks, std::string name) {
  if (ranks.empty()) return DoSplit(-1, 0, std::move(name));
  const int key = static_cast<int>(
      std::find(ranks.begin(), ranks.end(), rank_) - ranks.begin());
  const int color = *std::min_element(ranks.begin(), ranks.end());
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> group,
                           DoSplit(color, key, name));
  if (group->size() != ranks.size() || group->rank() != key) {
    return absl::InvalidArgumentError(absl::StrCat(
        Where("subgroup"), ": ranks [", absl::StrJoin(ranks, ", "), "] of \"",
        name, "\" disagree with the lists of other ranks: the group came out ",
        "as rank ", group->rank(), " of ", group->size()));
  }
  return group;
}

}  // namespace eisbach::comm
