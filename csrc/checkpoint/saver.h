#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "checkpoint/manifest.h"
#include "checkpoint/shard_writer.h"
#include "checkpoint/staging.h"
#include "checkpoint/stored_tensor.h"
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
  std::optional<optim::SpikeHistory> history{};  // where steps are judged
  std::optional<ManifestId> parent{};            // what training went on from
};

struct SaverConfig {
  // Whether a save copies the state into memory of its own (Staging) and is
  // written behind training.
  bool asynchronous = false;
  double bytes_per_second = 0;  // that a rank writes at most; 0: no limit
  // Data replicas divide a file that is at least twice as large.
  int64_t bytes_per_file = int64_t{16} << 20;
};

// How a save ended; the same on every rank but for the stall.
struct SaveOutcome {
  int64_t step = 0;
  absl::Status status;
  std::string path;          // of the checkpoint
  int64_t bytes = 0;         // of its files
  double seconds = 0;        // from the call of Begin until all knew of its end
  double stall_seconds = 0;  // of them inside calls, when nothing else was done
  double write_seconds = 0;  // of the rank that wrote longest
  std::optional<ManifestId> id{};  // on rank 0
};

// Saves a training run at the end of a step, as root/step-00000123/:
//
//   pipeline-0-tensor-0-data-0.safetensors   of each rank of the model, or its
//   ...                                      share: the f32 masters and
//                                            optimizer state of the slices that
//                                            it is primary for (SavedSlice)
//   manifest.json                            see Manifest
//
// The folder gets its name when everything in it is on the disk: files, their
// names, the manifest, its name. An error leaves no folder of that name, and no
// file of it is written to again.
//
// A save has parts that all ranks do together, and between them each rank works
// alone, in a thread where the saver is asynchronous:
//
//   Begin -> copy, write the share -> Advance -> manifest and name -> Advance
//
// Whoever trains asks ready() on each rank, makes known to all how many are
// (with a step's sums, say), and calls Advance when all are. Begin, Advance and
// Finish are collective over the world, and one thread at a time calls them.
class Saver {
 public:
  // All outlive the saver. Takes the memory for copies.
  static absl::StatusOr<std::unique_ptr<Saver>> Make(
      const FlatBuffer& buffer, const optim::Optimizer& optimizer,
      const parallel::ParallelContext& context, const SaverConfig& config);
  // Host memory that Make takes on a rank for an asynchronous saver; also on
  // meta.
  static absl::StatusOr<int64_t> StagingBytes(
      const FlatBuffer& buffer, const optim::Optimizer& optimizer,
      const parallel::ParallelContext& context, const SaverConfig& config);
  // Gives up what is being written.
  ~Saver();

  // Starts a save; training may go on once it returns. AlreadyExists where
  // there is a folder of that step. FailedPrecondition while busy. After an
  // error nothing is being saved.
  absl::Status Begin(const SaveRequest& request);
  // Whether a save was begun and its outcome not given yet: the same on all
  // ranks.
  bool busy() const { return phase_ != Phase::kIdle; }
  // Whether this rank can advance without waiting.
  bool ready() const { return busy() && !working_.load(); }
  // Goes on; waits for this rank's own work. Returns how the save ended, when
  // it did.
  std::optional<SaveOutcome> Advance();
  // Advances to the end; nothing where no save was begun.
  std::optional<SaveOutcome> Finish();

  // What this rank keeps in host memory for copies.
  int64_t staging_bytes() const {
    return staging_ == nullptr ? 0 : static_cast<int64_t>(staging_->bytes());
  }

 private:
  enum class Phase { kIdle, kWriting, kNaming };
  using Clock = std::chrono::steady_clock;

  Saver(const FlatBuffer& buffer, const optim::Optimizer& optimizer,
        const parallel::ParallelContext& context, const SaverConfig& config)
      : buffer_(buffer),
        optimizer_(optimizer),
        context_(context),
        config_(config) {}

  // What this rank writes, if it has a file.
  struct Share {
    bool has_file;
    std::vector<Piece> pieces;
  };
  static absl::StatusOr<Share> ShareOf(const FlatBuffer& buffer,
                                       const optim::Optimizer& optimizer,
                                       const parallel::ParallelContext& context,
                                       const SaverConfig& config);
  // Of tensors that `replicas` ranks have, of which this is `replica`.
  static absl::StatusOr<Share> ShareOf(absl::Span<const StoredTensor> stored,
                                       int replica, int replicas,
                                       const SaverConfig& config);
  // Begins this rank's work: in a thread, or in the call that waits for it.
  void Start(std::function<absl::Status()> work);
  absl::Status Join();
  absl::Status StartWriting();
  absl::StatusOr<WrittenFile> WriteFile(absl::Span<const Piece> pieces) const;
  absl::StatusOr<std::vector<std::string>> GatherFiles();
  // On rank 0: writes the manifest and gives the folder its name; or removes
  // the folder of a save that failed.
  absl::Status Name(const std::vector<std::string>& files);
  absl::Status Agree(const absl::Status& status) const;
  bool first() const { return context_.world().rank() == 0; }

  const FlatBuffer& buffer_;
  const optim::Optimizer& optimizer_;
  const parallel::ParallelContext& context_;
  const SaverConfig config_;
  std::unique_ptr<Staging> staging_;  // null: none

  Phase phase_ = Phase::kIdle;
  SaveRequest request_;
  Clock::time_point begin_;
  SaveOutcome outcome_;
  std::string written_;  // what this rank tells of its file
  std::function<absl::Status()> work_;
  absl::Status worked_;
  std::thread thread_;
  std::atomic<bool> working_{false};
  std::atomic<bool> cancelled_{false};
};

}  // namespace eisbach::checkpoint
