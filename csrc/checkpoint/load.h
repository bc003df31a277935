#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/manifest.h"
#include "optim/optimizer.h"
#include "parallel/context.h"
#include "tensor/flat_buffer.h"

namespace eisbach::checkpoint {

struct LoadResult {
  int64_t step;       // steps done
  std::string state;  // as given to Save
  std::optional<optim::LossScale> loss_scale;
  std::optional<optim::SpikeHistory> history;
  ManifestId id;  // of the checkpoint: the parent of the next one
};

// Continues from the checkpoint in the folder `path`: writes masters and
// optimizer state, replicas and the zeros of padding included. The caller then
// hands the rest to train::Update::Resume.
//
// The layout that it was saved on may be any: each rank copies what it keeps
// from the files that have it. On the same layout training goes on bit for bit
// as if it had never stopped, on another one within rounding.
//
// Checked before anything is written: the manifest, the folder's name (that of
// the step), `config` (JSON object, against the saved one), the optimizer,
// size, hash and values of every file (which must be finite; each by one rank),
// and that each of this rank's slices is there exactly once with its shape.
// Errors name the file, the key or the tensor.
//
// Collective over the world; blocks; all ranks get the same status. After an
// error the weights are as before, unless a copy to the device failed.
absl::StatusOr<LoadResult> Load(const std::string& path,
                                absl::string_view config,
                                const FlatBuffer& buffer,
                                const optim::Optimizer& optimizer,
                                const parallel::ParallelContext& context);

}  // namespace eisbach::checkpoint
