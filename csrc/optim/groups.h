#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "tensor/parameter.h"

namespace eisbach::optim {

// Parameters that are trained otherwise than the rest.
struct ParameterGroup {
  // Of logical names ("blocks.0.norm1.weight"), as a shell matches file names:
  // * ? [a-z] (fnmatch(3)).
  std::vector<std::string> patterns;
  bool frozen = false;
  double rate_factor = 1;              // times the learning rate
  std::optional<double> weight_decay;  // instead of the optimizer's
};

// What is wrong with groups whatever the parameters are. Messages name the key.
absl::Status ValidateGroups(absl::Span<const ParameterGroup> groups);

// What groups have done to parameters; sums over ranks are those of the whole.
struct GroupCounts {
  // By group, then pattern: the names for which it decided.
  std::vector<int64_t> decided;
  int64_t trained = 0;  // parameters that are not frozen
};

// Writes to the specs of `parameters`, not bound yet, what the first group with
// a pattern that fits says; the base of adapters stays frozen, whatever they
// say, and is decided by none. InvalidArgument where the logical tensors of one
// parameter are of different groups.
absl::StatusOr<GroupCounts> ApplyGroups(
    absl::Span<const ParameterGroup> groups,
    absl::Span<Parameter* const> parameters);

// InvalidArgument for a pattern that has decided nothing, and where nothing is
// trained. `parameters` are examples of names for the message.
absl::Status CheckCounts(absl::Span<const ParameterGroup> groups,
                         const GroupCounts& counts,
                         absl::Span<Parameter* const> parameters);

}  // namespace eisbach::optim
