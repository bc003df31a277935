#include "train/replicas.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/agree.h"
#include "core/status_macros.h"
#include "device/machine.h"
#include "ops/fingerprint.h"
#include "train/gather_json.h"
#include "train/results.h"

namespace eisbach::train {
namespace {

constexpr size_t kMostRanksNamed = 8;

// Whether a tensor rank holds all of what the parameter is made of.
bool HoldsWhole(const ParamSpec& spec) {
  return std::all_of(
      spec.slices.begin(), spec.slices.end(),
      [](const LogicalSlice& slice) { return slice.extent == slice.shape; });
}

// Ranks with their hosts: "rank 3 (node7)", "ranks 0 (node1) and 1 (node2)".
std::string NamesOf(const std::vector<int>& ranks,
                    const std::vector<nlohmann::json>& told) {
  std::vector<std::string> names;
  for (int rank : ranks) {
    if (names.size() == kMostRanksNamed) {
      names.push_back(absl::StrCat(ranks.size() - kMostRanksNamed, " more"));
      break;
    }
    const std::string host = told[rank]["host"];
    names.push_back(absl::StrCat(rank, " (", host, ")"));
  }
  return absl::StrCat(ranks.size() == 1 ? "rank " : "ranks ",
                      absl::StrJoin(names, ", "));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Replicas>> Replicas::Make(
    const std::vector<Parameter*>& parameters, FlatBuffer& buffer,
    const optim::Optimizer& optimizer,
    const parallel::ParallelContext& context) {
  std::unique_ptr<Replicas> replicas(new Replicas(context));
  std::map<const Parameter*, std::vector<Item>> states;
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    const FlatBucket& bucket = buffer.buckets()[b];
    for (const optim::OptimizerState& state : optimizer.StateTensors()) {
      if (state.bucket != b) continue;
      for (size_t i = 0; i < bucket.parameters.size(); ++i) {
        const Parameter* parameter = bucket.parameters[i];
        const ElementRange all{bucket.offsets[i],
                               parameter->spec().shape.elements()};
        if (parameter->divided() || Intersect(all, state.range) != all)
          continue;
        EISBACH_ASSIGN_OR_RETURN(
            Tensor piece, state.tensor.Narrow(0, all.begin - state.range.begin,
                                              all.elements));
        states[parameter].push_back(
            {absl::StrCat("the optimizer state ", state.name, " of ",
                          parameter->spec().name),
             std::move(piece), HoldsWhole(parameter->spec())});
      }
    }
  }
  for (const Parameter* parameter : parameters) {
    const ParamSpec& spec = parameter->spec();
    const bool whole = HoldsWhole(spec);
    if (!parameter->divided()) {
      replicas->items_.push_back({spec.name, parameter->master(), whole});
    }
    if (!parameter->data().defined()) continue;
    if (parameter->divided() ||
        parameter->data().raw() != parameter->master().raw()) {
      replicas->items_.push_back(
          {absl::StrCat(spec.name, " in ", Name(parameter->data().dtype())),
           parameter->data(), whole});
    }
    for (Item& item : states[parameter]) {
      replicas->items_.push_back(std::move(item));
    }
  }
  Device& device = context.device();
  const int64_t items = static_cast<int64_t>(replicas->items_.size());
  EISBACH_ASSIGN_OR_RETURN(replicas->fingerprints_,
                           Tensor::Empty(Shape{items}, DType::kI64, device));
  for (const auto& [ranks, axis] :
       {std::pair(&context.data(), Axis::kData),
        std::pair(&context.tensor(), Axis::kTensor)}) {
    if (ranks->size() == 1) continue;
    Group group{ranks, axis, {}};
    EISBACH_ASSIGN_OR_RETURN(
        group.gathered,
        Tensor::Empty(Shape{items * ranks->size()}, DType::kI64, device));
    replicas->slot_values_ += group.gathered.elements();
    replicas->groups_.push_back(std::move(group));
  }
  EISBACH_ASSIGN_OR_RETURN(
      replicas->memory_,
      device.AllocateHost(std::max<int64_t>(1, replicas->slot_values_) *
                          ResultQueue::kCapacity * sizeof(int64_t)));
  return replicas;
}

absl::Status Replicas::Begin(int64_t step) {
  // With ZeRO 3 no rank has what another has.
  if (groups_.empty() || items_.empty()) return absl::OkStatus();
  if (waiting_.size() == ResultQueue::kCapacity) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the fingerprints of ", waiting_.size(), " steps wait to be read"));
  }
  Device& device = context_.device();
  Stream& stream = device.compute_stream();
  for (size_t i = 0; i < items_.size(); ++i) {
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor place,
        fingerprints_.Narrow(0, static_cast<int64_t>(i), 1));
    EISBACH_RETURN_IF_ERROR(ops::Fingerprint(items_[i].values, place, stream));
  }
  int64_t* const slot =
      static_cast<int64_t*>(memory_.get()) + next_slot_ * slot_values_;
  next_slot_ = (next_slot_ + 1) % ResultQueue::kCapacity;
  int64_t* values = slot;
  for (const Group& group : groups_) {
    EISBACH_RETURN_IF_ERROR(
        group.ranks->AllGather(fingerprints_, group.gathered, stream));
    if (group.gathered.raw() == nullptr) return absl::OkStatus();  // meta
    EISBACH_RETURN_IF_ERROR(device.CopyToHost(values, group.gathered.raw(),
                                              group.gathered.bytes(), stream));
    values += group.gathered.elements();
  }
  EISBACH_ASSIGN_OR_RETURN(Event copied, stream.Record());
  waiting_.push_back({step, slot, std::move(copied)});
  return absl::OkStatus();
}

bool Replicas::begun(int64_t step) const {
  return !waiting_.empty() && waiting_.front().step == step;
}

std::vector<int> Replicas::WorldRanks(const Group& group) const {
  parallel::AxisSet axes{group.axis};
  if (group.axis == Axis::kData) axes = {Axis::kData, Axis::kContext};
  return context_.mesh().Group(context_.world().rank(), axes);
}

Replicas::Finding Replicas::Find(const int64_t* values) const {
  const size_t items = items_.size();
  for (const Group& group : groups_) {
    const size_t size = static_cast<size_t>(group.ranks->size());
    for (size_t item = 0; item < items; ++item) {
      if (group.axis == Axis::kTensor && !items_[item].whole) continue;
      std::map<int64_t, size_t> counts;
      for (size_t r = 0; r < size; ++r) ++counts[values[r * items + item]];
      if (counts.size() == 1) continue;
      const auto most = std::max_element(
          counts.begin(), counts.end(),
          [](const auto& a, const auto& b) { return a.second < b.second; });
      Finding finding{.majority = 2 * most->second > size,
                      .what = items_[item].what};
      const std::vector<int> ranks = WorldRanks(group);
      for (size_t r = 0; r < size; ++r) {
        const bool right =
            finding.majority && values[r * items + item] == most->first;
        (right ? finding.others : finding.wrong).push_back(ranks[r]);
      }
      return finding;
    }
    values += size * items;
  }
  return {};
}

absl::Status Replicas::End() {
  if (waiting_.empty()) {
    return absl::FailedPreconditionError("no fingerprints are on their way");
  }
  Waiting waiting = std::move(waiting_.front());
  waiting_.pop_front();
  EISBACH_RETURN_IF_ERROR(waiting.copied.Wait());
  const Finding mine = Find(waiting.values);
  Stream& stream = context_.device().compute_stream();
  const absl::Status all = checkpoint::AgreeOnStatus(
      mine.wrong.empty() ? absl::OkStatus() : absl::AbortedError("bits differ"),
      context_.world().communicator(), stream);
  if (all.ok()) {
    equal_at_ = waiting.step;
    return all;
  }
  if (all.code() != absl::StatusCode::kAborted) return all;
  EISBACH_ASSIGN_OR_RETURN(const std::vector<nlohmann::json> told,
                           GatherJson({{"host", HostName()},
                                       {"wrong", mine.wrong},
                                       {"others", mine.others},
                                       {"majority", mine.majority},
                                       {"what", mine.what}},
                                      context_.world()));
  differ_ = true;
  // That of a majority says most.
  const auto found = [](const nlohmann::json& one) {
    return one["wrong"].empty() ? 0 : one["majority"] ? 2 : 1;
  };
  const auto first = std::max_element(
      told.begin(), told.end(),
      [&](const auto& a, const auto& b) { return found(a) < found(b); });
  const std::vector<int> wrong = (*first)["wrong"], others = (*first)["others"];
  const std::string what = (*first)["what"];
  const std::string after =
      equal_at_ == 0 ? ""
                     : absl::StrCat("; all were equal after step ", equal_at_);
  if ((*first)["majority"]) {
    return absl::AbortedError(absl::StrCat(
        "step ", waiting.step, ": ", NamesOf(wrong, told),
        wrong.size() == 1 ? " holds other bits than its replicas on "
                          : " hold other bits than their replicas on ",
        NamesOf(others, told), ", first in ", what, after,
        "; memory or a processor has failed there (fault.hash_every)"));
  }
  return absl::AbortedError(absl::StrCat(
      "step ", waiting.step, ": ", NamesOf(wrong, told),
      " should hold the same bits and do not, first in ", what, after,
      "; which of them is wrong cannot be told without a majority "
      "(fault.hash_every)"));
}

}  // namespace eisbach::train
