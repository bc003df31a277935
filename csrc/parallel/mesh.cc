#include "parallel/mesh.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status_macros.h"

namespace eisbach::parallel {
namespace {

constexpr Axis kAxes[] = {Axis::kPipeline, Axis::kData, Axis::kContext,
                          Axis::kTensor};

// Caps at a number of ranks that nobody has, where 64 bits would overflow.
int64_t CappedProduct(int64_t a, int64_t b) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max() / 2;
  return a > kMost / b ? kMost : a * b;
}

// The axes that share one copy of the model, in the order of messages.
struct ModelSizes {
  int tensor;
  int pipeline;
  int context;

  int64_t product() const {
    return CappedProduct(CappedProduct(tensor, pipeline), context);
  }
  std::string ToString() const {
    std::string text = absl::StrCat("parallel.tensor=", tensor,
                                    " x parallel.pipeline=", pipeline);
    if (context != 1) absl::StrAppend(&text, " x parallel.context=", context);
    return text;
  }
};

std::vector<int> Divisors(int n) {
  std::vector<int> divisors;
  for (int d = 1; d <= n; ++d) {
    if (n % d == 0) divisors.push_back(d);
  }
  return divisors;
}

// The sizes closest to `want` whose product divides `world_size`; among equals
// the one with the larger product.
ModelSizes NearestDividing(const ModelSizes& want, int world_size) {
  ModelSizes best{1, 1, 1};
  int64_t best_distance = std::numeric_limits<int64_t>::max();
  const std::vector<int> divisors = Divisors(world_size);
  for (int context : divisors) {
    if (want.context == 1 && context != 1) continue;
    for (int pipeline : divisors) {
      for (int tensor : divisors) {
        const ModelSizes sizes{tensor, pipeline, context};
        if (world_size % sizes.product() != 0) continue;
        const int64_t distance = std::abs(int64_t{tensor} - want.tensor) +
                                 std::abs(int64_t{pipeline} - want.pipeline) +
                                 std::abs(int64_t{context} - want.context);
        if (distance < best_distance ||
            (distance == best_distance && sizes.product() > best.product())) {
          best = sizes;
          best_distance = distance;
        }
      }
    }
  }
  return best;
}

absl::Status CheckAtLeastOne(absl::string_view key, int value) {
  if (value >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "parallel.", key, "=", value,
      " must be at least 1; nearest that works: ", "parallel.", key, "=1"));
}

absl::Status CheckOrder(const AxisOrder& order) {
  for (Axis axis : kAxes) {
    if (std::count(order.begin(), order.end(), axis) == 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("the axis order must name each of pipeline, data, "
                     "context, tensor once; ",
                     Name(axis), " is not there once"));
  }
  return absl::OkStatus();
}

absl::Status CheckPlacement(const std::vector<int>& placement, int world_size) {
  if (placement.empty()) return absl::OkStatus();
  std::vector<int> ranks = placement;
  std::sort(ranks.begin(), ranks.end());
  bool each_once = ranks.size() == static_cast<size_t>(world_size);
  for (int i = 0; each_once && i < world_size; ++i) each_once = ranks[i] == i;
  if (each_once && placement[0] == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a placement must name each of ", world_size, " ranks once, rank 0 ",
      "first; got [", absl::StrJoin(placement, ", "), "]"));
}

absl::Status DoesNotDivide(const ModelSizes& model, int world_size) {
  const ModelSizes nearest = NearestDividing(model, world_size);
  const int64_t product = model.product();
  const int64_t up = (world_size + product - 1) / product * product;
  return absl::InvalidArgumentError(absl::StrCat(
      model.ToString(), " = ", product, " does not divide ", world_size,
      " ranks; nearest that works: ", nearest.ToString(), ", or start ", up,
      " ranks"));
}

absl::Status DoesNotMatch(const ModelSizes& model, int data, int world_size) {
  const int64_t product = CappedProduct(model.product(), data);
  return absl::InvalidArgumentError(absl::StrCat(
      "parallel.data=", data, " x ", model.ToString(), " = ", product,
      " ranks, but ", world_size, " were started; nearest that works: ",
      "parallel.data=", world_size / model.product(), " (or auto), or start ",
      product, " ranks"));
}

}  // namespace

std::string AxisSet::ToString() const {
  std::vector<absl::string_view> names;
  for (Axis axis : kAxes) {
    if (Contains(axis)) names.push_back(Name(axis));
  }
  return absl::StrJoin(names, " x ");
}

absl::StatusOr<Mesh> MakeMesh(int world_size, const MeshOptions& options) {
  if (world_size < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("a mesh needs at least 1 rank, not ", world_size));
  }
  EISBACH_RETURN_IF_ERROR(CheckOrder(options.order));
  EISBACH_RETURN_IF_ERROR(CheckPlacement(options.placement, world_size));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("tensor", options.tensor));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("pipeline", options.pipeline));
  EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("context", options.context));
  if (options.data != 0) {
    EISBACH_RETURN_IF_ERROR(CheckAtLeastOne("data", options.data));
  }
  const ModelSizes model{options.tensor, options.pipeline, options.context};
  if (world_size % model.product() != 0) {
    return DoesNotDivide(model, world_size);
  }
  const int data = world_size / static_cast<int>(model.product());
  if (options.data != 0 && options.data != data) {
    return DoesNotMatch(model, options.data, world_size);
  }
  Coordinates sizes;
  sizes[Axis::kPipeline] = options.pipeline;
  sizes[Axis::kData] = data;
  sizes[Axis::kContext] = options.context;
  sizes[Axis::kTensor] = options.tensor;
  return Mesh(world_size, sizes, options.order, options.placement);
}

Mesh::Mesh(int world_size, const Coordinates& sizes, const AxisOrder& order,
           const std::vector<int>& placement)
    : world_size_(world_size), sizes_(sizes), order_(order) {
  if (std::is_sorted(placement.begin(), placement.end())) return;
  placement_ = placement;
  positions_.resize(placement.size());
  for (int i = 0; i < world_size; ++i) positions_[placement[i]] = i;
}

int Mesh::size(AxisSet axes) const {
  int size = 1;
  for (Axis axis : kAxes) {
    if (axes.Contains(axis)) size *= sizes_[axis];
  }
  return size;
}

Coordinates Mesh::CoordinatesOf(int rank) const {
  int position = positions_.empty() ? rank : positions_[rank];
  Coordinates coordinates;
  for (int i = kNumAxes - 1; i >= 0; --i) {
    const Axis axis = order_[i];
    coordinates[axis] = position % sizes_[axis];
    position /= sizes_[axis];
  }
  return coordinates;
}

int Mesh::CoordinateOf(int rank, Axis axis) const {
  return CoordinatesOf(rank)[axis];
}

int Mesh::RankOf(const Coordinates& coordinates) const {
  int position = 0;
  for (Axis axis : order_) {
    position = position * sizes_[axis] + coordinates[axis];
  }
  return RankAt(position);
}

SplitArguments Mesh::GroupSplit(int rank, AxisSet axes) const {
  const Coordinates coordinates = CoordinatesOf(rank);
  SplitArguments split{0, 0};
  for (Axis axis : order_) {
    int& part = axes.Contains(axis) ? split.key : split.color;
    part = part * sizes_[axis] + coordinates[axis];
  }
  return split;
}

std::vector<int> Mesh::Group(int rank, AxisSet axes) const {
  const int color = GroupSplit(rank, axes).color;
  std::vector<int> ranks;
  ranks.reserve(size(axes));
  for (int position = 0; position < world_size_; ++position) {
    const int other = RankAt(position);
    if (GroupSplit(other, axes).color == color) ranks.push_back(other);
  }
  return ranks;
}

SplitArguments Mesh::StageSplit(int rank, absl::Span<const int> stages) const {
  const int stage = CoordinateOf(rank, Axis::kPipeline);
  if (std::find(stages.begin(), stages.end(), stage) == stages.end()) {
    return {-1, 0};
  }
  return {GroupSplit(rank, {Axis::kPipeline}).color, stage};
}

std::vector<int> Mesh::StageGroup(int rank,
                                  absl::Span<const int> stages) const {
  std::vector<int> ranks;
  if (StageSplit(rank, stages).color < 0) return ranks;
  for (int other : Group(rank, {Axis::kPipeline})) {
    if (StageSplit(other, stages).color >= 0) ranks.push_back(other);
  }
  return ranks;
}

std::optional<int> Mesh::StageNeighbour(int rank, int step) const {
  Coordinates coordinates = CoordinatesOf(rank);
  const int stage = coordinates[Axis::kPipeline] + step;
  if (stage < 0 || stage >= size(Axis::kPipeline)) return std::nullopt;
  coordinates[Axis::kPipeline] = stage;
  return RankOf(coordinates);
}

std::optional<int> Mesh::NextStage(int rank) const {
  return StageNeighbour(rank, 1);
}

std::optional<int> Mesh::PreviousStage(int rank) const {
  return StageNeighbour(rank, -1);
}

std::string Mesh::ToString() const {
  return absl::StrJoin(order_, " x ", [this](std::string* out, Axis axis) {
    absl::StrAppend(out, Name(axis), "=", sizes_[axis]);
  });
}

}  // namespace eisbach::parallel
