#include "parallel/data/weight_window.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::parallel {
namespace {

// Uses that are remembered of a pass.
constexpr size_t kLongestPass = size_t{1} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<WeightWindow>> WeightWindow::Make(
    FlatBuffer& buffer, comm::Communicator& group, int prefetch,
    Stream& compute) {
  std::unique_ptr<WeightWindow> window(
      new WeightWindow(buffer, group, prefetch, compute));
  EISBACH_ASSIGN_OR_RETURN(window->stream_, compute.device().NewStream());
  for (const FlatBucket& bucket : buffer.buckets()) {
    window->units_.push_back(&bucket);
  }
  for (const FrozenBlock& block : buffer.frozen()) {
    window->units_.push_back(&block);
  }
  for (size_t unit = 0; unit < window->units_.size(); ++unit) {
    for (Parameter* parameter : window->units_[unit]->parameters) {
      window->unit_of_[parameter] = unit;
      parameter->set_source(window.get());
    }
  }
  return window;
}

WeightWindow::~WeightWindow() {
  buffer_.VisitParameters([](Parameter& p) { p.set_source(nullptr); });
}

absl::Status WeightWindow::BeginPass() {
  // What a pass needs it gathers itself, so that captured work is complete.
  EISBACH_RETURN_IF_ERROR(DropAll());
  if (!used_.empty()) expected_ = std::exchange(used_, {});
  as_expected_ = true;
  for (const size_t unit : Next()) EISBACH_RETURN_IF_ERROR(Gather(unit));
  return absl::OkStatus();
}

absl::Status WeightWindow::Updated() { return DropAll(); }

absl::Status WeightWindow::DropAll() {
  while (!residents_.empty()) {
    EISBACH_RETURN_IF_ERROR(Drop(residents_.begin()));
  }
  return absl::OkStatus();
}

absl::Status WeightWindow::Wait() {
  for (Resident& resident : residents_) {
    EISBACH_RETURN_IF_ERROR(WaitFor(resident));
  }
  return absl::OkStatus();
}

absl::Status WeightWindow::BeforeUse(Parameter& parameter) {
  const size_t unit = unit_of_.at(&parameter);
  const bool in_use =
      !used_.empty() && used_.back() == unit && parameter.data().defined();
  return in_use ? absl::OkStatus() : Advance(unit);
}

absl::Status WeightWindow::Advance(size_t unit) {
  if (used_.size() == kLongestPass) {  // nothing is expected of what is so long
    used_.erase(used_.begin(), used_.end() - 1);
    as_expected_ = false;
  }
  used_.push_back(unit);
  const size_t now = used_.size() - 1;
  as_expected_ =
      as_expected_ && now < expected_.size() && expected_[now] == unit;
  const std::vector<size_t> next = Next();
  EISBACH_RETURN_IF_ERROR(GiveBack(next));
  EISBACH_RETURN_IF_ERROR(Gather(unit));
  for (const size_t ahead : next) EISBACH_RETURN_IF_ERROR(Gather(ahead));
  return WaitFor(*Find(unit));
}

std::vector<size_t> WeightWindow::Next() const {
  std::vector<size_t> next;
  if (!as_expected_) return next;
  const size_t most = used_.empty() ? prefetch_ + 1 : prefetch_;
  for (size_t i = used_.size(); i < expected_.size(); ++i) {
    if (next.size() == most) break;
    const size_t unit = expected_[i];
    const bool known = std::find(next.begin(), next.end(), unit) != next.end();
    if (!known && (used_.empty() || used_.back() != unit)) {
      next.push_back(unit);
    }
  }
  return next;
}

WeightWindow::Resident* WeightWindow::Find(size_t unit) {
  const auto found =
      std::find_if(residents_.begin(), residents_.end(),
                   [&](const Resident& one) { return one.unit == unit; });
  return found == residents_.end() ? nullptr : &*found;
}

absl::Status WeightWindow::Gather(size_t unit) {
  if (Find(unit) != nullptr) return absl::OkStatus();
  const FlatWeights& weights = *units_[unit];
  EISBACH_ASSIGN_OR_RETURN(
      Tensor data, Tensor::Empty(Shape{weights.elements},
                                 weights.weights.dtype(), compute_.device()));
  // After what the compute stream did with its memory, and to its own part.
  EISBACH_ASSIGN_OR_RETURN(Event before, compute_.Record());
  EISBACH_RETURN_IF_ERROR(stream_->Wait(before));
  EISBACH_RETURN_IF_ERROR(
      Annotate(group_.AllGather(weights.weights, data, *stream_),
               absl::StrCat("weights of bucket ", unit)));
  EISBACH_RETURN_IF_ERROR(BindData(weights, data));
  Resident resident{.unit = unit, .data = std::move(data)};
  EISBACH_ASSIGN_OR_RETURN(resident.arrived, stream_->Record());
  residents_.push_back(std::move(resident));
  return absl::OkStatus();
}

absl::Status WeightWindow::WaitFor(Resident& resident) {
  if (!std::exchange(resident.under_way, false)) return absl::OkStatus();
  return compute_.Wait(std::exchange(resident.arrived, Event()));
}

absl::Status WeightWindow::GiveBack(const std::vector<size_t>& next) {
  const auto stays = [&](size_t unit) {
    const size_t recent = std::min<size_t>(2, used_.size());
    return std::find(used_.end() - recent, used_.end(), unit) != used_.end() ||
           std::find(next.begin(), next.end(), unit) != next.end();
  };
  for (auto it = residents_.begin(); it != residents_.end();) {
    if (stays(it->unit)) {
      ++it;
      continue;
    }
    const auto index = it - residents_.begin();
    EISBACH_RETURN_IF_ERROR(Drop(it));
    it = residents_.begin() + index;
  }
  return absl::OkStatus();
}

absl::Status WeightWindow::Drop(std::deque<Resident>::iterator resident) {
  // Its memory is handed on in the order of the compute stream.
  EISBACH_RETURN_IF_ERROR(WaitFor(*resident));
  EISBACH_RETURN_IF_ERROR(BindData(*units_[resident->unit], Tensor()));
  residents_.erase(resident);
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
