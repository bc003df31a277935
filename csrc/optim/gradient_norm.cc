#include "optim/gradient_norm.h"

#include <algorithm>

#include "core/status_macros.h"
#include "ops/reduce.h"

namespace eisbach::optim {
namespace {

struct Interval {
  int64_t begin;
  int64_t end;
};

// The primary elements of a bucket, ascending. Intervals that touch, or have
// only a bucket's zero gap between them, are one.
std::vector<Interval> PrimaryIntervals(const FlatBucket& bucket) {
  std::vector<Interval> all;
  for (size_t i = 0; i < bucket.parameters.size(); ++i) {
    const ParamSpec& spec = bucket.parameters[i]->spec();
    const int64_t base = bucket.offsets[i];
    std::vector<Interval> own;
    for (const LogicalSlice& slice : spec.slices) {
      if (!slice.primary || SliceElements(slice) == 0) continue;
      const int64_t begin = base + SliceOffset(spec, slice);
      own.push_back({begin, begin + SliceElements(slice)});
    }
    std::sort(own.begin(), own.end(), [](const Interval& a, const Interval& b) {
      return a.begin < b.begin;
    });
    const int64_t previous_end =
        i == 0 ? 0
               : bucket.offsets[i - 1] +
                     bucket.parameters[i - 1]->spec().shape.elements();
    for (const Interval& next : own) {
      const bool touches =
          !all.empty() &&
          (all.back().end == next.begin ||
           (all.back().end == previous_end && next.begin == base));
      if (touches) {
        all.back().end = next.end;
      } else {
        all.push_back(next);
      }
    }
  }
  return all;
}

}  // namespace

absl::StatusOr<GradientNorm> GradientNorm::Make(const FlatBuffer& buffer,
                                                Stream& stream) {
  GradientNorm norm;
  for (const FlatBucket& bucket : buffer.buckets()) {
    for (const Interval& i : PrimaryIntervals(bucket)) {
      const ElementRange mine =
          Intersect({i.begin, i.end - i.begin}, bucket.part);
      if (mine.elements == 0) continue;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor range, bucket.reduced.Narrow(0, mine.begin - bucket.own.begin,
                                              mine.elements));
      norm.ranges_.push_back(std::move(range));
    }
  }
  EISBACH_ASSIGN_OR_RETURN(norm.partial_,
                           Tensor::Zeros(Shape{1}, DType::kF64, stream));
  return norm;
}

absl::Status GradientNorm::Compute(Stream& stream) {
  EISBACH_RETURN_IF_ERROR(
      stream.device().SetZero(partial_.raw(), partial_.bytes(), stream));
  for (const Tensor& range : ranges_) {
    EISBACH_RETURN_IF_ERROR(
        ops::SumOfSquares(range, /*accumulate=*/true, partial_, stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::optim
