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
  bool adamw = false;  // matrices are trained by AdamW as well (optim/muon.h)
};

// What is wrong with groups whatever the parameters are, of an optimizer that
// has a rule for matrices or not. Messages name the key.
absl::Status ValidateGroups(absl::Span<const ParameterGroup> groups,
                            bool has_matrices = false);

// Whether the rule for matrices fits a parameter: its logical tensors have two
// dimensions, and it is no table.
bool IsMatrices(const ParamSpec& spec);

// What groups have done to parameters; sums over ranks are those of the whole.
struct GroupCounts {
  // By group, then pattern: the names for which it decided.
  std::vector<int64_t> decided;
  int64_t trained = 0;   // parameters that are not frozen
  int64_t matrices = 0;  // of these, those that are trained as_matrices
};

// Writes to the specs of `parameters`, not bound yet, what the first group with
// a pattern that fits says, and where the optimizer has a rule for matrices
// which parameters it is for; the base of adapters stays frozen, whatever they
// say, and is decided by none. InvalidArgument where the logical tensors of one
// parameter are of different groups.
absl::StatusOr<GroupCounts> ApplyGroups(absl::Span<const ParameterGroup> groups,
                                        absl::Span<Parameter* const> parameters,
                                        bool has_matrices = false);

// InvalidArgument for a pattern that has decided nothing, and where nothing is
// trained. `parameters` are examples of names for the message.
absl::Status CheckCounts(absl::Span<const ParameterGroup> groups,
                         const GroupCounts& counts,
                         absl::Span<Parameter* const> parameters);

}  // namespace eisbach::optim
