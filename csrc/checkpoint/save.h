#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "optim/optimizer.h"
#include "parallel/context.h"
#include "tensor/flat_buffer.h"

namespace eisbach::checkpoint {

struct SaveRequest {
  std::string root;    // folder of the run's checkpoints; made if need be, in
                       // one that is there
  int64_t step;        // steps done
  std::string config;  // JSON object: what must be the same to load it
  std::string state;   // JSON object that Load gives back
  std::optional<optim::LossScale> loss_scale{};  // of the next step, in f16
};

// Saves a training run at the end of a step, as root/step-00000123/:
//
//   pipeline-0-tensor-0.safetensors   of each rank of the model: the f32
//   ...                               masters and optimizer state of the slices
//                                     that it is primary for (SavedSlice)
//   manifest.json                     see Manifest
//
// Ranks of data index 0 write. The folder gets its name when everything in it
// is on the disk. Returns its path.
//
// Collective over the world; blocks; all ranks get the same status. An error
// leaves no folder of that name. AlreadyExists when there is one.
absl::StatusOr<std::string> Save(const SaveRequest& request,
                                 const FlatBuffer& buffer,
                                 const optim::Optimizer& optimizer,
                                 const parallel::ParallelContext& context);

}  // namespace eisbach::checkpoint
