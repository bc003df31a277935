#include "parallel/data/division_groups.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "core/divisor.h"
#include "core/status_macros.h"

namespace eisbach::parallel {

absl::Status DivisionGroups::Validate(const ZeroConfig& config, int ranks) {
  if (config.zero < 0 || config.zero > 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("zero=", config.zero,
                     " is outside [0, 3] (parallel.zero); nearest that works: ",
                     config.zero < 0 ? 0 : 3));
  }
  if (config.prefetch < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "zero_prefetch=", config.prefetch,
        " is below 0 (parallel.zero_prefetch); nearest that works: 0"));
  }
  if (config.wire != DType::kF32 && config.zero < 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "reduce_wire=", Name(config.wire),
        " is of gradients that ranks divide"
        ", zero=2 or 3, not zero=",
        config.zero, " (parallel.reduce_wire); nearest that works: f32"));
  }
  if (config.group == 0) return absl::OkStatus();
  const auto refuse = [&](const std::string& why, const std::string& nearest) {
    return absl::InvalidArgumentError(
        absl::StrCat("zero_group=", config.group, " ", why,
                     " (parallel.zero_group); nearest that works: ", nearest));
  };
  if (config.zero == 0) return refuse("divides nothing with zero=0", "auto");
  if (ranks == 1) return refuse("has one rank to divide among", "auto");
  if (config.group < 2 || ranks % config.group != 0) {
    return refuse(absl::StrCat("does not divide the ", ranks,
                               " ranks of data x context into groups of at "
                               "least 2"),
                  absl::StrCat(NearestDivisor(ranks, config.group, 2)));
  }
  return absl::OkStatus();
}

absl::StatusOr<DivisionGroups> DivisionGroups::Make(const ZeroConfig& config,
                                                    comm::Communicator& data) {
  DivisionGroups groups;
  groups.data_ = &data;
  const int size = config.group == 0 ? data.size() : config.group;
  const int first = data.rank() / size * size;
  groups.division_ = {
      .parts = size, .part = data.rank() - first, .zero = config.zero};
  if (size == data.size()) return groups;
  std::vector<int> neighbours, same;
  for (int i = 0; i < size; ++i) neighbours.push_back(first + i);
  for (int rank = data.rank() % size; rank < data.size(); rank += size) {
    same.push_back(rank);
  }
  EISBACH_ASSIGN_OR_RETURN(groups.inside_, data.Subgroup(neighbours, "zero"));
  EISBACH_ASSIGN_OR_RETURN(groups.replicas_,
                           data.Subgroup(same, "zero replicas"));
  return groups;
}

}  // namespace eisbach::parallel
