#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "train/rank_location.h"

namespace eisbach::train {

// A measured thing is an outlier below this part of the median of its kind.
inline constexpr double kOutlierShare = 0.8;

// What each rank reached in one check.
struct RankReadings {
  std::string check;            // "matmul", "copy", "all_reduce"
  std::string unit;             // "GFLOP/s", "GB/s"
  std::vector<double> by_rank;  // 0: took no part
  // Whether ranks wait for one another in it, so that all of a group are as
  // slow as its slowest: then groups are compared, by `group_of` their ranks.
  std::vector<int> group_of;  // empty: each rank is measured by itself
};

// How fast two ranks sent to one another, both ways at once; one way counted.
struct PairReading {
  int a = 0, b = 0;
  double gigabytes = 0;
};

// Something slower than its like.
struct Outlier {
  std::string check;
  std::string who;  // "rank 3 (host7)", "ranks 0 (a) and 9 (b)"
  double value = 0;
  double median = 0;
  std::string unit;
};

struct NetworkReport {
  std::vector<RankReadings> ranks;
  std::vector<PairReading> pairs;
  int rounds = 0;  // of pairs

  // What is slow: ranks; groups where there are several; ranks most of whose
  // pairs are slow; pairs that are slow by themselves. Pairs are compared with
  // those of their kind: inside a domain, a host, between hosts.
  std::vector<Outlier> Outliers(absl::Span<const RankLocation> locations) const;
  // A row for each check: slowest, median and fastest.
  std::string Table(absl::Span<const RankLocation> locations) const;
};

// "rank 3 (host7): matmul 12.1 GFLOP/s, the median is 45.0".
std::string ToText(const Outlier& outlier);

}  // namespace eisbach::train
