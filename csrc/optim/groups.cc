#include "optim/groups.h"

#include <fnmatch.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/fits_f32.h"
#include "core/status_macros.h"
#include "optim/nearest_name.h"

namespace eisbach::optim {
namespace {

std::string KeyOf(size_t group, absl::string_view key) {
  return absl::StrCat("optimizer.groups.", group, ".", key);
}

absl::Status Invalid(std::string message) {
  return absl::InvalidArgumentError(std::move(message));
}

absl::Status ValidateGroup(const ParameterGroup& group, size_t index,
                           bool has_matrices) {
  if (group.patterns.empty()) {
    return Invalid(absl::StrCat("a group without parameters (",
                                KeyOf(index, "parameters"), ")"));
  }
  if (group.adamw && !has_matrices) {
    return Invalid(absl::StrCat(
        "rule=adamw takes matrices from optimizer.name=muon, and this is "
        "another (",
        KeyOf(index, "rule"), "); leave it out"));
  }
  const bool changes =
      group.rate_factor != 1 || group.weight_decay || group.adamw;
  if (group.frozen && changes) {
    return Invalid(absl::StrCat(
        "what is frozen has neither a learning rate nor a decay nor a rule (",
        KeyOf(index, "frozen"),
        "); leave lr_factor, weight_decay and rule out"));
  }
  if (!group.frozen && !changes) {
    return Invalid(
        absl::StrCat("the group changes nothing (optimizer.groups.", index,
                     "); give it frozen, lr_factor or weight_decay"));
  }
  if (!(group.rate_factor > 0)) {
    return Invalid(absl::StrCat("lr_factor=", group.rate_factor,
                                " is not above 0 (", KeyOf(index, "lr_factor"),
                                "); parameters that shall stay as they are "
                                "are frozen: true"));
  }
  EISBACH_RETURN_IF_ERROR(
      CheckFitsF32("lr_factor", group.rate_factor, KeyOf(index, "lr_factor")));
  if (!group.weight_decay) return absl::OkStatus();
  if (*group.weight_decay < 0) {
    return Invalid(absl::StrCat("weight_decay=", *group.weight_decay,
                                " is below 0 (", KeyOf(index, "weight_decay"),
                                ")"));
  }
  return CheckFitsF32("weight_decay", *group.weight_decay,
                      KeyOf(index, "weight_decay"));
}

// Which pattern of which group decides for a name, as an index in
// GroupCounts::decided; -1 for none.
struct Decision {
  int group = -1;
  int pattern = -1;
};

Decision Decide(absl::Span<const ParameterGroup> groups,
                const std::string& name) {
  int pattern = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const std::string& glob : groups[g].patterns) {
      if (fnmatch(glob.c_str(), name.c_str(), 0) == 0) {
        return {static_cast<int>(g), pattern};
      }
      ++pattern;
    }
  }
  return {};
}

std::string Place(int group) {
  return group < 0 ? "no group" : absl::StrCat("optimizer.groups.", group);
}

absl::Status CheckOneGroup(const ParamSpec& spec,
                           absl::Span<const Decision> decisions) {
  for (size_t i = 1; i < decisions.size(); ++i) {
    if (decisions[i].group == decisions[0].group) continue;
    std::vector<std::string> names;
    for (const LogicalSlice& slice : spec.slices) names.push_back(slice.name);
    return Invalid(
        absl::StrCat(names[0], " is in ", Place(decisions[0].group), " and ",
                     names[i], " in ", Place(decisions[i].group),
                     ", but they are parts of one matrix "
                     "(optimizer.groups); nearest that works: one group for ",
                     absl::StrJoin(names, ", ")));
  }
  return absl::OkStatus();
}

// "blocks.*.norm1.weight" for the name in any block; each once. What adapters
// leave as it is has no group.
std::vector<std::string> KindsOfNames(absl::Span<Parameter* const> parameters) {
  std::vector<std::string> kinds;
  for (const Parameter* parameter : parameters) {
    if (parameter->spec().role == AdapterRole::kBase) continue;
    for (const LogicalSlice& slice : parameter->spec().slices) {
      std::vector<absl::string_view> parts = absl::StrSplit(slice.name, '.');
      for (absl::string_view& part : parts) {
        if (std::all_of(part.begin(), part.end(), absl::ascii_isdigit)) {
          part = "*";
        }
      }
      std::string kind = absl::StrJoin(parts, ".");
      if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
        kinds.push_back(std::move(kind));
      }
    }
  }
  return kinds;
}

}  // namespace

absl::Status ValidateGroups(absl::Span<const ParameterGroup> groups,
                            bool has_matrices) {
  for (size_t i = 0; i < groups.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(ValidateGroup(groups[i], i, has_matrices));
  }
  return absl::OkStatus();
}

bool IsMatrices(const ParamSpec& spec) {
  return !spec.table && !spec.slices.empty() &&
         std::all_of(
             spec.slices.begin(), spec.slices.end(),
             [](const LogicalSlice& slice) { return slice.shape.rank() == 2; });
}

absl::StatusOr<GroupCounts> ApplyGroups(absl::Span<const ParameterGroup> groups,
                                        absl::Span<Parameter* const> parameters,
                                        bool has_matrices) {
  GroupCounts counts;
  for (const ParameterGroup& group : groups) {
    counts.decided.resize(counts.decided.size() + group.patterns.size());
  }
  for (Parameter* parameter : parameters) {
    ParamSpec& spec = parameter->mutable_spec();
    if (spec.role == AdapterRole::kBase) {
      spec.training = {.frozen = true};
      continue;
    }
    std::vector<Decision> decisions;
    for (const LogicalSlice& slice : spec.slices) {
      decisions.push_back(Decide(groups, slice.name));
      if (decisions.back().pattern >= 0) {
        ++counts.decided[decisions.back().pattern];
      }
    }
    EISBACH_RETURN_IF_ERROR(CheckOneGroup(spec, decisions));
    spec.training = Training();
    spec.training.as_matrices = has_matrices && IsMatrices(spec);
    if (!decisions.empty() && decisions[0].group >= 0) {
      const ParameterGroup& group = groups[decisions[0].group];
      spec.training.frozen = group.frozen;
      spec.training.rate_factor = static_cast<float>(group.rate_factor);
      spec.training.as_matrices &= !group.adamw;
      if (group.weight_decay) {
        spec.training.weight_decay = static_cast<float>(*group.weight_decay);
      }
    }
    if (!parameter->trains()) continue;
    ++counts.trained;
    if (spec.training.as_matrices) ++counts.matrices;
  }
  return counts;
}

absl::Status CheckCounts(absl::Span<const ParameterGroup> groups,
                         const GroupCounts& counts,
                         absl::Span<Parameter* const> parameters) {
  size_t next = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    for (const std::string& pattern : groups[g].patterns) {
      if (counts.decided[next++] > 0) continue;
      const std::vector<std::string> kinds = KindsOfNames(parameters);
      return Invalid(
          absl::StrCat("\"", pattern, "\" is the name of no parameter",
                       g == 0 ? "" : " that an earlier group has not", " (",
                       KeyOf(g, "parameters"), "); the nearest is ",
                       kinds.empty() ? "none" : NearestName(pattern, kinds),
                       "; the names are ", absl::StrJoin(kinds, ", ")));
    }
  }
  if (counts.trained > 0) return absl::OkStatus();
  return Invalid(
      "every parameter is frozen, so there is nothing to train "
      "(optimizer.groups)");
}

}  // namespace eisbach::optim
