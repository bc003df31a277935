#include "data/blend.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace eisbach::data {
namespace {

using Wide = unsigned __int128;

constexpr uint64_t kLine = uint64_t{1} << 32;  // length of the line
constexpr uint64_t kGolden = 0x9e3779b9u;      // phi - 1, in 2^-32; odd

// The sum over i in [0, n) of floor((a i + b) / m).
Wide FloorSum(Wide n, Wide m, Wide a, Wide b) {
  Wide sum = 0;
  while (true) {
    sum += n * (n - 1) / 2 * (a / m) + n * (b / m);
    a %= m;
    b %= m;
    const Wide top = a * n + b;
    if (top < m) return sum;
    n = top / m;
    b = top % m;
    std::swap(m, a);
  }
}

// How many of the first n points lie in [0, bound).
int64_t PointsBelow(uint64_t bound, int64_t n) {
  if (n == 0) return 0;
  const Wide count = static_cast<Wide>(n);
  return static_cast<int64_t>(FloorSum(count, kLine, kGolden, kLine) -
                              FloorSum(count, kLine, kGolden, kLine - bound));
}

}  // namespace

absl::StatusOr<Blend> Blend::Make(absl::Span<const double> weights) {
  if (weights.empty()) {
    return absl::InvalidArgumentError(
        "there is no source to take samples from");
  }
  double total = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!(weights[i] > 0) || !std::isfinite(weights[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight ", weights[i], " of source ", i,
                       " is not a positive number"));
    }
    total += weights[i];
  }
  std::vector<uint64_t> bounds = {0};
  double sum = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    sum += weights[i];
    const bool last = i + 1 == weights.size();
    const uint64_t bound =
        last ? kLine
             : std::min(kLine, static_cast<uint64_t>(std::llround(
                                   sum / total * static_cast<double>(kLine))));
    if (bound <= bounds.back()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "weight ", weights[i], " of source ", i, " is ", weights[i] / total,
          " of all, too little to ever be sampled; drop it"));
    }
    bounds.push_back(bound);
  }
  return Blend(std::move(bounds));
}

Blend::Choice Blend::operator()(int64_t sample) const {
  const uint64_t point = static_cast<uint64_t>(sample) * kGolden & (kLine - 1);
  const auto above = std::upper_bound(bounds_.begin(), bounds_.end(), point);
  const int source = static_cast<int>(above - bounds_.begin()) - 1;
  return {source, PointsBelow(bounds_[source + 1], sample) -
                      PointsBelow(bounds_[source], sample)};
}

}  // namespace eisbach::data
