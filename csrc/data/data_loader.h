#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/batch.h"
#include "data/corpus.h"
#include "device/event.h"
#include "device/stream.h"

namespace eisbach::data {

struct DataLoaderOptions {
  int64_t global_batch;  // samples a step, of all ranks
  int dp_rank;
  int dp_size;
  int prefetch;  // batches read ahead, at least 1
};

// Batches in the order of steps. The samples of step t are the global indices
// [t x global_batch, (t + 1) x global_batch) in every layout; data-parallel
// rank r of n has the r-th n-th of them, in order. A thread of its own reads
// ahead. Used by one thread.
class DataLoader {
 public:
  // InvalidArgument when dp_size does not divide global_batch or a value is
  // out of range. The first batch is that of step 0.
  static absl::StatusOr<std::unique_ptr<DataLoader>> Make(
      std::shared_ptr<const Corpus> corpus, const DataLoaderOptions& options);
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // The batch of step(), on the stream's device and ordered on the stream.
  // Waits until it has been read. After an error (of the files) each call
  // returns it again, until Seek.
  absl::StatusOr<Batch> Next(Stream& stream);

  // Continues with the batch of `step` >= 0.
  absl::Status Seek(int64_t step);

  int64_t step() const { return step_; }  // of the batch that Next returns
  int64_t samples_per_rank() const { return rows_; }

 private:
  struct HostBatch {
    int64_t step;
    absl::Status status;
    std::vector<int32_t> tokens;
    std::vector<int32_t> targets;
    std::vector<int32_t> starts;    // empty: joined documents
    std::vector<double> reference;  // empty: none was measured
    std::vector<int64_t> samples;
    int64_t ids_below;
  };
  using HostBatchPtr = std::unique_ptr<HostBatch>;

  DataLoader(std::shared_ptr<const Corpus> corpus,
             const DataLoaderOptions& options);

  void ReadAhead();
  void Fill(HostBatch& batch, int64_t step) const;
  HostBatchPtr TakeFree();  // with the mutex held
  absl::StatusOr<Batch> CopyToDevice(const HostBatch& host,
                                     Stream& stream) const;

  const std::shared_ptr<const Corpus> corpus_;
  const DataLoaderOptions options_;
  const int64_t rows_;
  int64_t step_ = 0;

  // Host memory that a stream may still be copying from.
  struct Copying {
    Event done;
    HostBatchPtr batch;
  };
  std::deque<Copying> copying_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<HostBatchPtr> ready_;
  std::vector<HostBatchPtr> free_;
  int64_t next_read_ = 0;   // step that the thread reads next
  int64_t generation_ = 0;  // counts Seek, so that a late batch is dropped
  bool failed_ = false;     // the thread waits for Seek
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace eisbach::data
