#include "train/profile.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

namespace eisbach::train {
namespace {

double SecondsOf(const Span& span) {
  return static_cast<double>(span.end_ns - span.begin_ns) * 1e-9;
}

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

struct OpSum {
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};

// All ranks' spans, added up.
struct Sums {
  int steps = 0;
  double wall = 0;  // of all ranks
  double by_class[kNumOpClasses] = {};
  double waiting = 0;
  std::map<std::string, OpSum> ops;
  std::map<std::pair<std::string, std::string>, CollectiveRow> collectives;

  void Add(const Span& span) {
    const double seconds = SecondsOf(span);
    if (span.kind == SpanKind::kOp) {
      by_class[static_cast<int>(span.op_class)] += seconds;
      OpSum& op = ops[span.name];
      ++op.calls;
      op.seconds += seconds;
      op.flops += span.flops;
      op.bytes += span.bytes;
    } else if (span.kind == SpanKind::kCollective) {
      CollectiveRow& row = collectives[{span.name, span.detail}];
      ++row.calls;
      row.bytes += span.bytes;
      row.seconds += seconds;
    } else if (span.kind == SpanKind::kWait) {
      waiting += seconds;
      collectives[{span.name, span.detail}].exposed_seconds += seconds;
    }
  }
};

// From the begin of a rank's first step to the end of its last, in which what
// it did counts.
struct Window {
  int steps = 0;
  int64_t begin_ns = std::numeric_limits<int64_t>::max();
  int64_t end_ns = 0;

  explicit Window(const RankTrace& trace) {
    for (const Span& span : trace.spans) {
      if (span.kind != SpanKind::kStep) continue;
      ++steps;
      begin_ns = std::min(begin_ns, span.begin_ns);
      end_ns = std::max(end_ns, span.end_ns);
    }
  }
  // A send may come to its end after the step that made it.
  bool Holds(const Span& span) const {
    return span.begin_ns >= begin_ns && span.begin_ns < end_ns;
  }
};

Peak MeanPeak(absl::Span<const RankTrace> traces) {
  Peak mean;
  for (const RankTrace& trace : traces) {
    mean.f32_flops += trace.peak.f32_flops / traces.size();
    mean.bf16_flops += trace.peak.bf16_flops / traces.size();
    mean.bytes += trace.peak.bytes / traces.size();
  }
  return mean;
}

std::vector<OpRow> OpRows(const Sums& sums, const Peak& peak, DType compute) {
  const double flops =
      compute == DType::kF32 ? peak.f32_flops : peak.bf16_flops;
  std::vector<OpRow> rows;
  for (const auto& [name, sum] : sums.ops) {
    OpRow row{.name = name, .calls = sum.calls, .seconds = sum.seconds};
    row.share = Ratio(sum.seconds, sums.wall);
    row.flops_per_second = Ratio(sum.flops, sum.seconds);
    row.bytes_per_second = Ratio(sum.bytes, sum.seconds);
    row.compute_of_peak = Ratio(row.flops_per_second, flops);
    row.memory_of_peak = Ratio(row.bytes_per_second, peak.bytes);
    rows.push_back(std::move(row));
  }
  return rows;
}

template <typename Row>
void LongestFirst(std::vector<Row>& rows) {
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.seconds > b.seconds;
  });
}

}  // namespace

absl::StatusOr<Profile> Summarise(absl::Span<const RankTrace> traces,
                                  DType compute) {
  Sums sums;
  for (const RankTrace& trace : traces) {
    const Window window(trace);
    if (window.steps == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("rank ", trace.rank, " recorded no step"));
    }
    sums.steps = window.steps;
    sums.wall += static_cast<double>(window.end_ns - window.begin_ns) * 1e-9;
    for (const Span& span : trace.spans) {
      if (window.Holds(span)) sums.Add(span);
    }
  }
  Profile profile{.steps = sums.steps, .peak = MeanPeak(traces)};
  profile.step_seconds =
      Ratio(sums.wall, static_cast<double>(traces.size()) * sums.steps);
  TimeShares& shares = profile.shares;
  const auto of_class = [&](OpClass op_class) {
    return Ratio(sums.by_class[static_cast<int>(op_class)], sums.wall);
  };
  shares.matmul = of_class(OpClass::kMatmul);
  shares.attention = of_class(OpClass::kAttention);
  shares.exposed_communication = Ratio(sums.waiting, sums.wall);
  shares.other = std::max(
      0.0, 1 - shares.matmul - shares.attention - shares.exposed_communication);
  profile.ops = OpRows(sums, profile.peak, compute);
  for (auto& [key, row] : sums.collectives) {
    row.name = key.first;
    row.group = key.second;
    profile.collectives.push_back(std::move(row));
  }
  LongestFirst(profile.ops);
  LongestFirst(profile.collectives);
  return profile;
}

}  // namespace eisbach::train
