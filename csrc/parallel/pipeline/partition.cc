#include "parallel/pipeline/partition.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"

namespace eisbach::parallel {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Sums that differ by less are equal.
constexpr double kTie = 1e-9;

absl::Status CheckCounts(int layers, int stages) {
  if (stages < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("parallel.pipeline=", stages, " must be at least 1"));
  }
  if (stages <= layers) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "parallel.pipeline=", stages,
      " needs a layer for each stage, and the "
      "model has model.layers=",
      layers,
      "; nearest that works: ", "parallel.pipeline=", std::max(layers, 1)));
}

std::vector<int> EvenCounts(int layers, int stages) {
  std::vector<int> counts;
  for (int s = 0; s < stages; ++s) {
    counts.push_back((s + 1) * layers / stages - s * layers / stages);
  }
  return counts;
}

// Dynamic programming over (stages, first layers): the best way to cut the
// first n layers into s stages, for a cost that stages combine by `Combine`,
// among those where no stage costs more than a limit. As the limit leaves few
// layers for each stage, it takes about layers^2 sums.
class Cutter {
 public:
  Cutter(const LayerCosts& costs, int stages)
      : stages_(stages),
        layers_(static_cast<int>(costs.layers.size())),
        costs_(costs),
        sums_(layers_ + 1, 0.0) {
    std::partial_sum(costs.layers.begin(), costs.layers.end(),
                     sums_.begin() + 1);
  }

  double StageCost(int stage, int begin, int end) const {
    return sums_[end] - sums_[begin] + (stage == 0 ? costs_.first_stage : 0) +
           (stage == stages_ - 1 ? costs_.last_stage : 0);
  }

  // Of the dearest stage, where layers are divided evenly by their number.
  double EvenCost() const {
    double dearest = 0;
    int begin = 0, stage = 0;
    for (const int count : EvenCounts(layers_, stages_)) {
      dearest = std::max(dearest, StageCost(stage++, begin, begin + count));
      begin += count;
    }
    return dearest;
  }

  // Combine(total so far, cost of a stage) -> total. There is a way to cut
  // within `limit`.
  template <typename Combine>
  double Cut(double limit, Combine combine,
             std::vector<LayerRange>* ranges) const {
    const int width = layers_ + 1;
    std::vector<double> best((stages_ + 1) * width, kInfinity);
    std::vector<int> from((stages_ + 1) * width, -1);
    best[0] = 0;
    for (int s = 0; s < stages_; ++s) {
      for (int end = s + 1; end <= layers_; ++end) {
        const int to = (s + 1) * width + end;
        int first = end;
        while (first > s && StageCost(s, first - 1, end) <= limit) --first;
        // Early stages stay short among equals: the earliest cut wins.
        for (int begin = first; begin < end; ++begin) {
          const double so_far = best[s * width + begin];
          if (so_far == kInfinity) continue;
          const double total = combine(so_far, StageCost(s, begin, end));
          if (total < best[to] * (1 - kTie) || from[to] < 0) {
            best[to] = total;
            from[to] = begin;
          }
        }
      }
    }
    ranges->assign(stages_, {});
    for (int s = stages_, end = layers_; s > 0; --s) {
      const int begin = from[s * width + end];
      (*ranges)[s - 1] = {begin, end};
      end = begin;
    }
    return best[stages_ * width + layers_];
  }

 private:
  const int stages_;
  const int layers_;
  const LayerCosts& costs_;
  std::vector<double> sums_;
};

}  // namespace

absl::StatusOr<std::vector<LayerRange>> BalanceStages(const LayerCosts& costs,
                                                      int stages) {
  EISBACH_RETURN_IF_ERROR(
      CheckCounts(static_cast<int>(costs.layers.size()), stages));
  const Cutter cutter(costs, stages);
  std::vector<LayerRange> ranges;
  const double dearest = cutter.Cut(
      cutter.EvenCost() * (1 + kTie),
      [](double total, double cost) { return std::max(total, cost); }, &ranges);
  cutter.Cut(
      dearest * (1 + kTie),
      [](double total, double cost) { return total + cost * cost; }, &ranges);
  return ranges;
}

absl::StatusOr<std::vector<LayerRange>> StagesOf(
    absl::Span<const int> layers_per_stage, int layers, int stages,
    int chunks) {
  const int parts = stages * chunks;
  EISBACH_RETURN_IF_ERROR(CheckCounts(layers, parts));
  const auto error = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(
        "parallel.layers_per_stage=[", absl::StrJoin(layers_per_stage, ", "),
        "] ", why, "; one that works: [",
        absl::StrJoin(EvenCounts(layers, parts), ", "), "]"));
  };
  if (layers_per_stage.size() != static_cast<size_t>(parts)) {
    return error(absl::StrCat(
        "has ", layers_per_stage.size(),
        layers_per_stage.size() == 1 ? " entry" : " entries",
        ", but parallel.pipeline=", stages,
        chunks > 1 ? absl::StrCat(" x parallel.chunks=", chunks) : ""));
  }
  std::vector<LayerRange> ranges;
  int64_t total = 0;
  for (int count : layers_per_stage) {
    if (count < 1) return error("must hold at least 1 layer for each stage");
    total += count;
    if (total > layers) break;
    ranges.push_back(
        {static_cast<int>(total) - count, static_cast<int>(total)});
  }
  if (total != layers) {
    return error(absl::StrCat("does not add up to model.layers=", layers));
  }
  return ranges;
}

}  // namespace eisbach::parallel
