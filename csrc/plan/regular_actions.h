#pragma once

#include <map>
#include <utility>

#include "device/recorder.h"
#include "parallel/pipeline/action.h"

namespace eisbach::plan {

// A kind of action of a stage: its letter, its chunk.
using ActionOf = std::pair<char, int>;

// Of what was recorded or played of a step's actions, the entry of each kind
// that is most like those of all other micro-batches: of actions that come
// late the first micro-batch, of forwards the last.
template <typename Entries>
std::map<ActionOf, typename Entries::value_type> RegularActions(
    const Entries& entries) {
  std::map<ActionOf, typename Entries::value_type> regular;
  for (const auto& entry : entries) {
    const ActionMark& action = entry.action;
    const auto [it, added] =
        regular.try_emplace({action.letter, action.chunk}, entry);
    if (added) continue;
    const bool forward =
        action.letter == Letter(parallel::ActionKind::kForward);
    if (forward == (action.micro_batch > it->second.action.micro_batch)) {
      it->second = entry;
    }
  }
  return regular;
}

}  // namespace eisbach::plan
