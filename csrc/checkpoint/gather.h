#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "parallel/context.h"
#include "tensor/parameter.h"

namespace eisbach::checkpoint {

// A logical tensor: whole, without padding, on the host.
struct LogicalTensor {
  std::string name;
  Shape shape;
  std::vector<float> values;  // row-major
};

enum class ParameterValue { kMaster, kGradient };

// The same where it lies: in a buffer of its own, or where one rank of the host
// holds all of it, in the rank's parameters, which change with the next step.
struct LogicalView {
  absl::string_view name;
  const Shape& shape;
  absl::Span<const float> values;
  std::shared_ptr<const void> owner;  // keeps the values
};

using LogicalVisitor = std::function<absl::Status(const LogicalView&)>;

// Puts the logical tensors of a model together from the primary slices that the
// ranks of data index 0 hold, or those that divide them with these, and hands
// them to `visit` on world rank 0, one after another: the first stage's in the
// order of its parameters, then the next stage's. Rank 0 holds one of them at a
// time.
//
// `parameters`: those of this rank's stage, bound. Those that are frozen have
// no gradient and are left out where it is asked for. Gradients are complete
// between Update::Finish and the next step. Collective over the world; blocks.
// Every rank gets the same status: an error of `visit`, or one that names a
// tensor which the slices do not cover exactly once.
absl::Status GatherParameters(absl::Span<Parameter* const> parameters,
                              ParameterValue value,
                              const parallel::ParallelContext& context,
                              const LogicalVisitor& visit);

// The same as a list; empty on ranks other than 0.
absl::StatusOr<std::vector<LogicalTensor>> GatherParameters(
    absl::Span<Parameter* const> parameters, ParameterValue value,
    const parallel::ParallelContext& context);

// The other way, without communication: writes the masters of this rank's
// slices, primary or not, as far as they are its own, from whole logical
// tensors, and zeros to the padding.
// `find` returns null for a name that it does not have, which is an error, as
// is another shape or a value that is not finite; nothing is written then.
// Refresh the compute-dtype copies
// afterwards. Blocks.
using LogicalLookup =
    std::function<const LogicalTensor*(const std::string& name)>;
absl::Status ScatterParameters(absl::Span<Parameter* const> parameters,
                               const LogicalLookup& find, Stream& stream);

// Whether the model has a logical tensor of each of these names, on whichever
// rank: InvalidArgument names the first that it has not, and how many more
// there are. Collective over the ranks that hold the model once; not on meta.
absl::Status CheckLogicalNames(absl::Span<Parameter* const> parameters,
                               absl::Span<const std::string> names,
                               const parallel::ParallelContext& context);

}  // namespace eisbach::checkpoint
