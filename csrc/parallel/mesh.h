#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/axis.h"

namespace eisbach::parallel {

// A set of mesh axes: which ranks a communicator spans.
class AxisSet {
 public:
  constexpr AxisSet() = default;
  constexpr AxisSet(std::initializer_list<Axis> axes) {
    for (Axis axis : axes) bits_ |= Bit(axis);
  }

  constexpr bool Contains(Axis axis) const { return bits_ & Bit(axis); }
  std::string ToString() const;  // "data x context"

  friend constexpr auto operator<=>(AxisSet, AxisSet) = default;

 private:
  static constexpr uint8_t Bit(Axis axis) {
    return static_cast<uint8_t>(1u << static_cast<int>(axis));
  }
  uint8_t bits_ = 0;
};

// Where a rank stands: one index for each axis, `coordinates[axis]`.
struct Coordinates {
  std::array<int, kNumAxes> index{};

  int operator[](Axis axis) const { return index[static_cast<int>(axis)]; }
  int& operator[](Axis axis) { return index[static_cast<int>(axis)]; }
  friend bool operator==(const Coordinates&, const Coordinates&) = default;
};

using AxisOrder = std::array<Axis, kNumAxes>;

// Slowest first: tensor groups are neighbouring ranks, stages are far apart.
inline constexpr AxisOrder kDefaultAxisOrder = {Axis::kPipeline, Axis::kData,
                                                Axis::kContext, Axis::kTensor};

struct MeshOptions {
  int data = 0;  // 0: the ranks that the other axes leave
  int tensor = 1;
  int pipeline = 1;
  int context = 1;
  AxisOrder order = kDefaultAxisOrder;
  // The rank at each position, when the ranks do not stand in their own order
  // (topology.h); rank 0 comes first, since it speaks and writes for all.
  std::vector<int> placement;
};

// What Communicator::Split takes; a negative color stays out of every group.
struct SplitArguments {
  int color;
  int key;
};

// How the ranks of a job are laid out along the named axes. Integers only: it
// talks to nobody, and every rank computes the same one.
class Mesh {
 public:
  int world_size() const { return world_size_; }
  int size(Axis axis) const { return sizes_[axis]; }
  int size(AxisSet axes) const;  // ranks in a group over `axes`
  const AxisOrder& order() const { return order_; }
  // Whether ranks stand in another order than their own.
  bool placed() const { return !placement_.empty(); }

  // `rank` is in [0, world_size()), coordinates are in [0, size(axis)).
  Coordinates CoordinatesOf(int rank) const;
  int CoordinateOf(int rank, Axis axis) const;
  int RankOf(const Coordinates& coordinates) const;

  // The world ranks that differ from `rank` along `axes` only, itself included,
  // in the order of the mesh (increasing, unless ranks were placed).
  std::vector<int> Group(int rank, AxisSet axes) const;
  // Splits the world into these groups, ranked as in Group.
  SplitArguments GroupSplit(int rank, AxisSet axes) const;

  // The ranks that stand like `rank` on the given pipeline stages (for weights
  // that stages share), and the split that makes these groups; ranks on other
  // stages get an empty list and a negative color. A repeated stage counts
  // once.
  std::vector<int> StageGroup(int rank, absl::Span<const int> stages) const;
  SplitArguments StageSplit(int rank, absl::Span<const int> stages) const;

  // The rank that holds the next or previous pipeline stage for `rank`.
  std::optional<int> NextStage(int rank) const;
  std::optional<int> PreviousStage(int rank) const;
  bool IsFirstStage(int rank) const { return !PreviousStage(rank); }
  bool IsLastStage(int rank) const { return !NextStage(rank); }

  std::string ToString() const;  // "pipeline=2 x data=2 x context=1 x tensor=2"
  // A table with a row for each stage, a column for each model copy, and the
  // ranks of one tensor group in a cell. Large meshes are shortened.
  std::string RankMapText() const;

 private:
  friend absl::StatusOr<Mesh> MakeMesh(int, const MeshOptions&);
  Mesh(int world_size, const Coordinates& sizes, const AxisOrder& order,
       const std::vector<int>& placement);

  int RankAt(int position) const {
    return placement_.empty() ? position : placement_[position];
  }

  std::optional<int> StageNeighbour(int rank, int step) const;

  int world_size_;
  Coordinates sizes_;
  AxisOrder order_;
  std::vector<int> placement_;  // rank at each position; empty: the same number
  std::vector<int> positions_;  // of each rank; empty like placement_
};

// Lays `world_size` ranks out. InvalidArgument when a size is below 1, when
// the order is no permutation of the axes or the placement none of the ranks,
// or when the sizes do not multiply to the world size; the message names the
// keys and the nearest that works.
absl::StatusOr<Mesh> MakeMesh(int world_size, const MeshOptions& options);

}  // namespace eisbach::parallel
