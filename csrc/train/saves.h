#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/saver.h"
#include "train/update.h"

namespace eisbach::train {

// What a caller says of a checkpoint; see checkpoint::SaveRequest.
struct SaveText {
  std::string root;
  std::string config = "{}";
  std::string state = "{}";
};

// The checkpoints of a training run, written while it goes on: a rank that is
// ready to go on with one says so in the sums of its next step, and all go on
// when they read that all were. Every rank makes the same calls.
class Saves {
 public:
  // Until Prepare saves are not asynchronous. `update` outlives it.
  explicit Saves(Update& update) : update_(update) {}

  // Takes the memory for copies. FailedPrecondition while a save is going on.
  absl::Status Prepare(const checkpoint::SaverConfig& config);

  // Starts to save what the steps so far have come to. Collective.
  absl::Status Begin(const SaveText& text);
  bool busy() const { return saver_ != nullptr && saver_->busy(); }
  // Waits for the end of one that goes on; nothing where there is none.
  // Collective.
  std::optional<checkpoint::SaveOutcome> Finish();

  // Before a step: asks for kAdvance where this rank is ready.
  void BeforeStep();
  // After the result of `step`, of which `ready` ranks asked for kAdvance:
  // returns how a save ended, when it did.
  std::optional<checkpoint::SaveOutcome> AfterStep(int64_t step, int ready);

  int64_t staging_bytes() const {
    return saver_ == nullptr ? 0 : saver_->staging_bytes();
  }

 private:
  std::optional<checkpoint::SaveOutcome> Ended(
      std::optional<checkpoint::SaveOutcome> outcome);

  Update& update_;
  std::unique_ptr<checkpoint::Saver> saver_;  // null: none was needed yet
  // Steps up to this one began before the save was where it is now.
  int64_t since_ = 0;
};

}  // namespace eisbach::train
