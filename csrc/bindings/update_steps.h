#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "bindings/json_text.h"
#include "train/saves.h"
#include "train/update.h"

// What an Engine and an Update both offer of the steps that were done. None
// needs the interpreter's lock.
namespace eisbach::bindings {

// Saves weights and optimizer as ROOT/step-N/; returns that path when it is on
// the disk. Collective.
absl::StatusOr<std::string> SaveSteps(train::Saves& saves,
                                      const std::filesystem::path& root,
                                      const JsonText& config,
                                      const JsonText& state);
// Goes on from a checkpoint; returns the state that it was saved with.
// Collective.
absl::StatusOr<std::string> LoadSteps(train::Update& update,
                                      const std::filesystem::path& path,
                                      const JsonText& config);
// InvalidArgument below 0; `name` is what Python calls it.
absl::Status SetSteps(train::Update& update, const char* name, int64_t step);

}  // namespace eisbach::bindings
