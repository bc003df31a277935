#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "comm/world.h"
#include "core/status_macros.h"
#include "device/tracer.h"

// A link between two ranks of a job that can be made slow at any time: a world
// that hands every call on, and takes longer for those that pass the link.
namespace eisbach::test {

struct SlowLink {
  int a = 0, b = 0;  // ranks of the world
  double message_seconds = 0;
  double gigabytes = 1;  // a second
  std::atomic<bool> slow{false};

  absl::Duration Takes(int64_t bytes) const {
    return absl::Seconds(message_seconds +
                         1e-9 * static_cast<double>(bytes) / gigabytes);
  }
};

class SlowLinkCommunicator final : public comm::Communicator {
 public:
  // `ranks`: those of `inner` in the world. `owned`: `inner`, or null.
  SlowLinkCommunicator(comm::Communicator& inner, std::vector<int> ranks,
                       const SlowLink& link,
                       std::unique_ptr<comm::Communicator> owned)
      : Communicator(inner.rank(), inner.size(), inner.name(),
                     inner.device().shared_from_this()),
        inner_(inner),
        ranks_(std::move(ranks)),
        link_(link),
        owned_(std::move(owned)) {}

  absl::string_view transport() const override { return inner_.transport(); }

 private:
  using Tensor = eisbach::Tensor;

  bool compares_calls() const override { return true; }
  absl::Status DoAllReduce(const Tensor& inout, comm::ReduceOp op,
                           Stream& stream) override {
    PassTogether(comm::Bytes(inout));
    return inner_.AllReduce(inout, op, stream);
  }
  absl::Status DoAllGather(const Tensor& in, const Tensor& out,
                           Stream& stream) override {
    PassTogether(comm::Bytes(out));
    return inner_.AllGather(in, out, stream);
  }
  absl::Status DoReduceScatter(const Tensor& in, const Tensor& out,
                               comm::ReduceOp op, Stream& stream) override {
    PassTogether(comm::Bytes(in));
    return inner_.ReduceScatter(in, out, op, stream);
  }
  absl::Status DoBroadcast(const Tensor& inout, int root,
                           Stream& stream) override {
    PassTogether(comm::Bytes(inout));
    return inner_.Broadcast(inout, root, stream);
  }
  absl::Status DoAllToAllV(const Tensor& in,
                           absl::Span<const int64_t> send_counts,
                           const Tensor& out,
                           absl::Span<const int64_t> receive_counts,
                           Stream& stream) override {
    PassTogether(comm::Bytes(in));
    return inner_.AllToAllV(in, send_counts, out, receive_counts, stream);
  }
  absl::Status DoExchange(absl::Span<const comm::Transfer> transfers,
                          Stream& stream) override {
    int64_t bytes = -1;
    for (const comm::Transfer& one : transfers) {
      if (ranks_[rank()] != link_.b || ranks_[one.peer] != link_.a) continue;
      bytes = std::max<int64_t>(bytes, 0) + comm::Bytes(one.tensor);
    }
    if (bytes >= 0) Pass(bytes);
    return inner_.Exchange(transfers, stream);
  }
  absl::Status DoBarrier(Stream& stream) override {
    PassTogether(0);
    return inner_.Barrier(stream);
  }
  absl::StatusOr<std::unique_ptr<Communicator>> DoSplit(int, int,
                                                        std::string) override {
    return absl::UnimplementedError("name the ranks (Subgroup)");
  }
  absl::StatusOr<std::unique_ptr<Communicator>> DoSubgroup(
      absl::Span<const int> ranks, std::string name) override {
    EISBACH_ASSIGN_OR_RETURN(auto group, inner_.Subgroup(ranks, name));
    if (group == nullptr) return group;
    std::vector<int> members;
    for (int rank : ranks) members.push_back(ranks_[rank]);
    Communicator& inner = *group;
    return std::make_unique<SlowLinkCommunicator>(inner, std::move(members),
                                                  link_, std::move(group));
  }

  void PassTogether(int64_t bytes) {
    const auto has = [&](int rank) {
      return std::count(ranks_.begin(), ranks_.end(), rank) > 0;
    };
    if (ranks_[rank()] == link_.b && has(link_.a)) Pass(bytes);
  }
  void Pass(int64_t bytes) {
    if (!link_.slow) return;
    const TraceSpan wait(
        device().tracer(),
        {.kind = SpanKind::kWait, .name = call().name, .detail = name()});
    absl::SleepFor(link_.Takes(bytes));
  }

  comm::Communicator& inner_;
  const std::vector<int> ranks_;
  const SlowLink& link_;
  const std::unique_ptr<comm::Communicator> owned_;
};

// Of rank threads; ends with the world that it is made of.
class SlowLinkWorld final : public comm::World {
 public:
  SlowLinkWorld(comm::World& inner, const SlowLink& link)
      : inner_(inner),
        everyone_(inner.communicator(), All(inner.size()), link, nullptr) {}

  int local_rank() const override { return inner_.local_rank(); }
  int local_size() const override { return inner_.local_size(); }
  int compute_threads() const override { return inner_.compute_threads(); }
  absl::string_view backend() const override { return inner_.backend(); }
  Device& device() const override { return inner_.device(); }
  comm::Communicator& communicator() const override { return everyone_; }
  void Abort(int code, absl::string_view cause) override {
    inner_.Abort(code, cause);
  }

 private:
  absl::Status DoFinalize(absl::Duration) override { return absl::OkStatus(); }
  static std::vector<int> All(int size) {
    std::vector<int> ranks;
    for (int rank = 0; rank < size; ++rank) ranks.push_back(rank);
    return ranks;
  }

  comm::World& inner_;
  mutable SlowLinkCommunicator everyone_;
};

}  // namespace eisbach::test
