#include "data/data_loader.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::data {
namespace {

// Of a rank's batch.
constexpr int64_t kMostTokens = int64_t{1} << 31;

absl::Status CheckOptions(const DataLoaderOptions& o, int64_t context) {
  if (o.dp_size < 1 || o.dp_rank < 0 || o.dp_rank >= o.dp_size) {
    return absl::InvalidArgumentError(absl::StrCat("data-parallel rank ",
                                                   o.dp_rank, " of ", o.dp_size,
                                                   " does not exist"));
  }
  if (o.prefetch < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("prefetch=", o.prefetch, " must be at least 1"));
  }
  if (o.global_batch / o.dp_size > kMostTokens / context) {
    return absl::InvalidArgumentError(absl::StrCat(
        "train.global_batch=", o.global_batch, " is ",
        o.global_batch / o.dp_size, " samples of ", context,
        " tokens for a rank, more than 2^31 tokens; nearest that works: ",
        kMostTokens / context * o.dp_size));
  }
  if (o.global_batch >= 1 && o.global_batch % o.dp_size == 0) {
    return absl::OkStatus();
  }
  const int64_t below = o.global_batch / o.dp_size * o.dp_size;
  std::string nearest = absl::StrCat(std::max<int64_t>(below, 0) + o.dp_size);
  if (below >= 1) nearest = absl::StrCat(below, " or ", nearest);
  return absl::InvalidArgumentError(
      absl::StrCat("train.global_batch=", o.global_batch,
                   " is not a positive multiple of parallel.data=", o.dp_size,
                   "; nearest that works: ", nearest));
}

}  // namespace

absl::StatusOr<std::unique_ptr<DataLoader>> DataLoader::Make(
    std::shared_ptr<const Corpus> corpus, const DataLoaderOptions& options) {
  EISBACH_RETURN_IF_ERROR(CheckOptions(options, corpus->context()));
  return std::unique_ptr<DataLoader>(
      new DataLoader(std::move(corpus), options));
}

DataLoader::DataLoader(std::shared_ptr<const Corpus> corpus,
                       const DataLoaderOptions& options)
    : corpus_(std::move(corpus)),
      options_(options),
      rows_(options.global_batch / options.dp_size),
      thread_([this] { ReadAhead(); }) {}

DataLoader::~DataLoader() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
  for (const Copying& copying : copying_) copying.done.Wait().IgnoreError();
}

DataLoader::HostBatchPtr DataLoader::TakeFree() {
  if (free_.empty()) return std::make_unique<HostBatch>();
  HostBatchPtr batch = std::move(free_.back());
  free_.pop_back();
  return batch;
}

void DataLoader::ReadAhead() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] {
      return stop_ || (!failed_ &&
                       ready_.size() < static_cast<size_t>(options_.prefetch));
    });
    if (stop_) return;
    HostBatchPtr batch = TakeFree();
    const int64_t step = next_read_++;
    const int64_t generation = generation_;
    lock.unlock();
    Fill(*batch, step);
    lock.lock();
    if (generation != generation_) {
      free_.push_back(std::move(batch));
      continue;
    }
    failed_ = !batch->status.ok();
    ready_.push_back(std::move(batch));
    changed_.notify_all();
  }
}

void DataLoader::Fill(HostBatch& batch, int64_t step) const {
  const int64_t context = corpus_->context();
  batch.step = step;
  batch.status = absl::OkStatus();
  batch.tokens.resize(rows_ * context);
  batch.targets.resize(rows_ * context);
  batch.starts.resize(corpus_->separate() ? rows_ * context : 0);
  batch.reference.resize(corpus_->reference().empty() ? 0
                                                      : rows_ * kPairNumbers);
  batch.samples.resize(rows_);
  const auto row_of = [context](std::vector<int32_t>& all, int64_t row) {
    return all.empty() ? absl::Span<int32_t>()
                       : absl::MakeSpan(all).subspan(row * context, context);
  };
  for (int64_t row = 0; row < rows_; ++row) {
    const int64_t index =
        step * options_.global_batch + options_.dp_rank * rows_ + row;
    batch.status = corpus_->Read(
        index, {row_of(batch.tokens, row), row_of(batch.targets, row),
                row_of(batch.starts, row),
                batch.reference.empty()
                    ? absl::Span<double>()
                    : absl::MakeSpan(batch.reference)
                          .subspan(row * kPairNumbers, kPairNumbers)});
    if (!batch.status.ok()) return;
    batch.samples[row] = index;
  }
  batch.ids_below = IdsBelow(batch.tokens, batch.targets);
}

absl::StatusOr<Batch> DataLoader::Next(Stream& stream) {
  const StepClock::Scope scope(stream.device().step_clock(), StepPart::kData);
  HostBatchPtr host;
  {
    std::unique_lock lock(mutex_);
    while (!copying_.empty() && copying_.front().done.Done()) {
      free_.push_back(std::move(copying_.front().batch));
      copying_.pop_front();
    }
    changed_.wait(lock, [this] { return !ready_.empty(); });
    if (!ready_.front()->status.ok()) return ready_.front()->status;
    host = std::move(ready_.front());
    ready_.pop_front();
  }
  changed_.notify_all();
  absl::StatusOr<Batch> batch = CopyToDevice(*host, stream);
  absl::StatusOr<Event> copied = stream.Record();
  if (copied.ok()) {
    copying_.push_back({*copied, std::move(host)});
  } else {
    // Nobody can say when the copy is over.
    EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  }
  if (batch.ok()) step_ = batch->step + 1;
  return batch;
}

absl::StatusOr<Batch> DataLoader::CopyToDevice(const HostBatch& host,
                                               Stream& stream) const {
  Device& device = stream.device();
  const Shape shape({rows_, corpus_->context()});
  Batch batch{host.step, {}, {}, {}, host.ids_below, {}, {}};
  EISBACH_ASSIGN_OR_RETURN(batch.tokens,
                           Tensor::Empty(shape, DType::kI32, device));
  EISBACH_ASSIGN_OR_RETURN(batch.targets,
                           Tensor::Empty(shape, DType::kI32, device));
  EISBACH_ASSIGN_OR_RETURN(batch.samples,
                           Tensor::Empty({rows_}, DType::kI64, device));
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
      batch.tokens.raw(), host.tokens.data(), batch.tokens.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
      batch.targets.raw(), host.targets.data(), batch.targets.bytes(), stream));
  if (!host.starts.empty()) {
    EISBACH_ASSIGN_OR_RETURN(batch.starts,
                             Tensor::Empty(shape, DType::kI32, device));
    EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
        batch.starts.raw(), host.starts.data(), batch.starts.bytes(), stream));
  }
  if (!host.reference.empty()) {
    EISBACH_ASSIGN_OR_RETURN(
        batch.reference,
        Tensor::Empty(Shape{rows_, kPairNumbers}, DType::kF64, device));
    EISBACH_RETURN_IF_ERROR(
        device.CopyToDevice(batch.reference.raw(), host.reference.data(),
                            batch.reference.bytes(), stream));
  }
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
      batch.samples.raw(), host.samples.data(), batch.samples.bytes(), stream));
  return batch;
}

absl::Status DataLoader::Seek(int64_t step) {
  if (step < 0 ||
      step > std::numeric_limits<int64_t>::max() / options_.global_batch - 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("step ", step, " does not exist"));
  }
  {
    std::lock_guard lock(mutex_);
    while (!ready_.empty()) {
      free_.push_back(std::move(ready_.front()));
      ready_.pop_front();
    }
    next_read_ = step_ = step;
    failed_ = false;
    ++generation_;
  }
  changed_.notify_all();
  return absl::OkStatus();
}

}  // namespace eisbach::data
