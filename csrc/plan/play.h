#pragma once

#include <vector>

#include "absl/types/span.h"
#include "parallel/mesh.h"
#include "plan/experts.h"
#include "plan/hardware.h"
#include "plan/op_seconds.h"
#include "plan/record.h"

namespace eisbach::plan {

// Where the seconds of a rank's compute stream go.
struct Busy {
  double products = 0;  // matrix products
  double attention = 0;
  double other_ops = 0;  // which move memory
  // Collectives in whose time it computes nothing: those of the stream's own
  // order, and those of others that it waits for.
  double communication = 0;
  double gaps = 0;  // the host has given it nothing

  double sum() const {
    return products + attention + other_ops + communication + gaps;
  }
  Busy& operator+=(const Busy& other);
  Busy operator*(double factor) const;
};

struct PlayedAction {
  ActionMark action;
  double seconds;  // of the compute stream
  Busy busy;
};

// When a stream was at a piece of the record.
struct PlayedWork {
  size_t index;  // of WorkRecord::work
  double begin;
  double end;
};

struct Played {
  std::vector<PlayedAction> actions;
  // Ops and collectives of all steps, where they are asked for.
  std::vector<PlayedWork> work;
  // When the compute stream passed the end of each step.
  std::vector<double> step_ends;
  // Of the last step, by what they are.
  Busy busy;
  double collectives = 0;  // seconds, hidden ones too
  double flops = 0;
};

// The actions of the last of two steps.
inline absl::Span<const PlayedAction> LastActions(const Played& played) {
  return absl::MakeConstSpan(played.actions).subspan(played.actions.size() / 2);
}

struct PlayOptions {
  ProductType products = ProductType::kAsIs;
  // Whether the device does the steps again by itself, so that the host does
  // not count.
  bool replayed = true;
  Unfused unfused{};
  // That the recorded step has in place of its MLPs, where steps are recorded
  // as well; what plays a record finds them in it.
  Experts experts{};
  // Whether Played::work is filled.
  bool each = false;
};

// Seconds of an op or a collective that nothing runs beside. 0 of those among
// stages, which are simulated elsewhere.
double SecondsAlone(const WorkRecord& record, const Work& work,
                    const parallel::Mesh& mesh, const Hardware& hardware,
                    const PlayOptions& options);

// Plays what a rank was given to do on a machine. Streams work in their order
// and beside one another, and wait for each other's events; an op starts no
// sooner than the host has given it. All members of a group are taken to come
// to their collectives when this rank does. What the pipeline's neighbours send
// is there when it is asked for: schedules are simulated elsewhere.
Played Play(const WorkRecord& record, const parallel::Mesh& mesh,
            const Hardware& hardware, const PlayOptions& options);

}  // namespace eisbach::plan
