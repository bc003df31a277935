#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "plan/forecast.h"
#include "plan/hardware.h"

namespace eisbach::plan {

// What a stage does for a while.
struct StageSpan {
  // "forward", "backward", "backward_input", "backward_weight", "exchange"
  // with other stages, which runs beside the others, or "once": sums of
  // gradients, norm and update.
  std::string kind;
  int micro_batch = 0;  // of a forward or backward
  int chunk = 0;
  double begin = 0;  // seconds since the step's
  double end = 0;
  // Of these seconds, those of collectives in which nothing is computed.
  double communication = 0;
};

// An op or a collective on a stream.
struct StreamSpan {
  std::string name;
  std::string group;  // of a collective, else empty
  int stream = 0;     // 0: compute
  double begin = 0;   // seconds since the first of them
  double end = 0;
  double flops = 0;  // of an op
  double bytes = 0;  // that an op reads and writes; a collective's buffer
};

// A step of few micro-batches on the streams of a device.
struct StreamTimeline {
  std::vector<int> stages;  // that are alike
  int64_t micro_batches = 0;
  std::vector<StreamSpan> spans;
};

// When things happen in a step, as forecasts have it. Of many micro-batches the
// stages have as many as are simulated (forecast.h); the streams, as many as
// are recorded, without what other stages keep them waiting.
struct Timeline {
  std::vector<std::vector<StageSpan>> stages;  // each in order of `begin`
  std::vector<StreamTimeline> streams;
  int chunks = 1;
  int64_t shown = 0;          // micro-batches of `stages`
  int64_t micro_batches = 0;  // of a step
  double seconds = 0;         // until the last of `stages` is over
  double step_seconds = 0;    // of all micro-batches
};

// InvalidArgument as RecordedStep::On.
absl::StatusOr<Timeline> MakeTimeline(const RecordedStep& step,
                                      const Hardware& hardware,
                                      const PlayOptions& options);

}  // namespace eisbach::plan
