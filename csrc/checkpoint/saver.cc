#include "checkpoint/saver.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "checkpoint/agree.h"
#include "checkpoint/folder.h"
#include "core/atomic_file.h"
#include "core/signal_mask.h"
#include "core/status_macros.h"
#include "tensor/host_values.h"

namespace eisbach::checkpoint {
namespace {

// Seconds since it was made.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(Clock::now() - begin_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;

  const Clock::time_point begin_ = Clock::now();
};

// Adds the time that it lives to a sum.
class Adding {
 public:
  explicit Adding(double& sum) : sum_(sum) {}
  ~Adding() { sum_ += stopwatch_.seconds(); }
  Adding(const Adding&) = delete;
  Adding& operator=(const Adding&) = delete;

 private:
  double& sum_;
  const Stopwatch stopwatch_;
};

// A file, and how long it took.
struct Announced {
  ManifestFile file;
  double seconds = 0;
};

// "pipeline tensor data bytes hash seconds name"
std::string Format(const Announced& announced) {
  const ManifestFile& file = announced.file;
  return absl::StrCat(file.pipeline, " ", file.tensor, " ", file.data, " ",
                      file.bytes, " ", file.hash, " ", announced.seconds, " ",
                      file.name);
}

absl::StatusOr<Announced> ParseAnnounced(const std::string& text) {
  const std::vector<std::string> fields =
      absl::StrSplit(text, absl::MaxSplits(' ', 6));
  Announced announced;
  ManifestFile& file = announced.file;
  if (fields.size() != 7 || !absl::SimpleAtoi(fields[0], &file.pipeline) ||
      !absl::SimpleAtoi(fields[1], &file.tensor) ||
      !absl::SimpleAtoi(fields[2], &file.data) ||
      !absl::SimpleAtoi(fields[3], &file.bytes) ||
      !absl::SimpleAtoi(fields[4], &file.hash) ||
      !absl::SimpleAtod(fields[5], &announced.seconds)) {
    return absl::InternalError(
        absl::StrCat("a rank announced its file as \"", text, "\""));
  }
  file.name = fields[6];
  return announced;
}

// Of one that has its place in a folder.
ManifestFile FileOf(const parallel::ParallelContext& context) {
  ManifestFile file;
  file.pipeline = context.index(Axis::kPipeline);
  file.tensor = context.index(Axis::kTensor);
  file.data = context.data().rank();
  file.name = absl::StrCat("pipeline-", file.pipeline, "-tensor-", file.tensor,
                           "-data-", file.data, ".safetensors");
  return file;
}

Manifest ManifestOf(const SaveRequest& request,
                    const parallel::ParallelContext& context,
                    const optim::Optimizer& optimizer) {
  return Manifest{.step = request.step,
                  .layout = LayoutOf(context.mesh()),
                  .optimizer_state = optimizer.state_names(),
                  .config = request.config,
                  .state = request.state,
                  .loss_scale = request.loss_scale,
                  .history = request.history,
                  .parent = request.parent};
}

absl::Status Prepare(const SaveRequest& request, const Manifest& manifest) {
  if (request.step < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("step=", request.step, " is below 0"));
  }
  EISBACH_RETURN_IF_ERROR(FormatManifest(manifest).status());
  const std::string path = StepFolder(request.root, request.step);
  std::error_code error;
  if (std::filesystem::exists(path, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " is already there; remove it, or resume from it"));
  }
  return MakeEmptyFolder(UnfinishedFolder(request.root, request.step));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Saver>> Saver::Make(
    const FlatBuffer& buffer, const optim::Optimizer& optimizer,
    const parallel::ParallelContext& context, const SaverConfig& config) {
  EISBACH_RETURN_IF_ERROR(context.CheckJoined());
  if (context.device().type() == DeviceType::kMeta) {
    return absl::FailedPreconditionError("meta parameters have no values");
  }
  std::unique_ptr<Saver> saver(new Saver(buffer, optimizer, context, config));
  if (!config.asynchronous) return saver;
  EISBACH_ASSIGN_OR_RETURN(const int64_t bytes,
                           StagingBytes(buffer, optimizer, context, config));
  absl::StatusOr<std::unique_ptr<Staging>> staging =
      Staging::Make(bytes, context.device());
  if (!staging.ok()) {
    return Annotate(staging.status(),
                    absl::StrCat("no ", bytes >> 20,
                                 " MiB of host memory to write checkpoints "
                                 "from (checkpoint.asynchronous=false needs "
                                 "none)"));
  }
  saver->staging_ = *std::move(staging);
  return saver;
}

Saver::~Saver() {
  cancelled_.store(true);
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<int64_t> Saver::StagingBytes(
    const FlatBuffer& buffer, const optim::Optimizer& optimizer,
    const parallel::ParallelContext& context, const SaverConfig& config) {
  EISBACH_ASSIGN_OR_RETURN(const Share mine,
                           ShareOf(buffer, optimizer, context, config));
  return static_cast<int64_t>(Staging::BytesFor(mine.pieces));
}

absl::StatusOr<Saver::Share> Saver::ShareOf(
    const FlatBuffer& buffer, const optim::Optimizer& optimizer,
    const parallel::ParallelContext& context, const SaverConfig& config) {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<StoredTensor> stored,
                           StoredTensors(buffer, optimizer));
  // Of what ranks divide anyway each writes its own.
  const int parts = buffer.division().parts;
  std::vector<StoredTensor> copied, divided;
  for (const StoredTensor& tensor : stored) {
    (tensor.divided ? divided : copied).push_back(tensor);
  }
  const int index = context.data().rank();
  const int size = context.data().size();
  EISBACH_ASSIGN_OR_RETURN(Share mine, ShareOf(copied, index, size, config));
  if (divided.empty()) return mine;
  EISBACH_ASSIGN_OR_RETURN(
      Share own, ShareOf(divided, index / parts, size / parts, config));
  std::move(own.pieces.begin(), own.pieces.end(),
            std::back_inserter(mine.pieces));
  mine.has_file |= own.has_file;
  return mine;
}

absl::StatusOr<Saver::Share> Saver::ShareOf(
    absl::Span<const StoredTensor> stored, int replica, int replicas,
    const SaverConfig& config) {
  EISBACH_ASSIGN_OR_RETURN(std::vector<Piece> pieces, PiecesOf(stored, 0, 1));
  const int shares =
      SharesOf(BytesInFile(pieces), replicas, config.bytes_per_file);
  if (replica >= shares) return Share{false, {}};
  if (shares > 1) {
    EISBACH_ASSIGN_OR_RETURN(pieces, PiecesOf(stored, replica, shares));
  }
  return Share{true, std::move(pieces)};
}

void Saver::Start(std::function<absl::Status()> work) {
  if (!config_.asynchronous) {
    work_ = std::move(work);
    return;
  }
  working_.store(true);
  thread_ = std::thread([this, work = std::move(work)] {
    KeepSignalsOff();
    worked_ = work();
    working_.store(false);
  });
}

absl::Status Saver::Join() {
  if (thread_.joinable()) thread_.join();
  if (const auto work = std::exchange(work_, nullptr)) return work();
  return std::exchange(worked_, absl::OkStatus());
}

absl::Status Saver::Agree(const absl::Status& status) const {
  return AgreeOnStatus(status, context_.world().communicator(),
                       context_.device().compute_stream());
}

absl::Status Saver::Begin(const SaveRequest& request) {
  if (busy()) {
    return absl::FailedPreconditionError(
        absl::StrCat("step ", request_.step, " is still being saved"));
  }
  EISBACH_RETURN_IF_ERROR(context_.CheckJoined());
  const comm::PhaseScope phase(context_.world().communicator().activity(),
                               comm::Phase::kSave);
  request_ = request;
  outcome_ = {.step = request.step};
  begin_ = Clock::now();
  const Adding stall(outcome_.stall_seconds);
  absl::Status prepared;
  if (first()) {
    prepared = Prepare(request, ManifestOf(request, context_, optimizer_));
  }
  const absl::Status agreed = Agree(prepared);
  if (!agreed.ok()) {
    return Annotate(agreed, absl::StrCat("save step ", request.step));
  }
  const absl::Status started = StartWriting();
  if (!started.ok()) worked_ = started;
  phase_ = Phase::kWriting;
  return absl::OkStatus();
}

absl::Status Saver::StartWriting() {
  written_.clear();
  EISBACH_ASSIGN_OR_RETURN(Share mine,
                           ShareOf(buffer_, optimizer_, context_, config_));
  if (!mine.has_file) return absl::OkStatus();
  if (staging_ != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        staging_->Copy(mine.pieces, context_.device().compute_stream()));
  }
  Start([this, pieces = std::move(mine.pieces)]() -> absl::Status {
    Announced mine{FileOf(context_)};
    const Stopwatch stopwatch;
    EISBACH_ASSIGN_OR_RETURN(const WrittenFile written, WriteFile(pieces));
    mine.file.bytes = written.bytes;
    mine.file.hash = written.hash;
    mine.seconds = stopwatch.seconds();
    written_ = Format(mine);
    return absl::OkStatus();
  });
  return absl::OkStatus();
}

absl::StatusOr<WrittenFile> Saver::WriteFile(
    absl::Span<const Piece> pieces) const {
  std::vector<float> host;
  const auto from_device =
      [&](size_t i) -> absl::StatusOr<absl::Span<const float>> {
    host.resize(pieces[i].view.elements());
    EISBACH_RETURN_IF_ERROR(ReadValues(pieces[i].view, host.data(),
                                       context_.device().compute_stream()));
    return absl::MakeConstSpan(host);
  };
  const auto from_staging =
      [&](size_t i) -> absl::StatusOr<absl::Span<const float>> {
    const Tensor& view = pieces[i].view;
    const std::byte* values = staging_->data(i);
    if (view.dtype() == DType::kF32) {
      return absl::MakeConstSpan(reinterpret_cast<const float*>(values),
                                 view.elements());
    }
    host.resize(view.elements());
    WidenValues(view.dtype(), values, view.elements(), host.data());
    return absl::MakeConstSpan(host);
  };
  const std::string path =
      absl::StrCat(UnfinishedFolder(request_.root, request_.step), "/",
                   FileOf(context_).name);
  const WriteLimits limits{config_.bytes_per_second, &cancelled_};
  if (staging_ == nullptr) return WriteShard(path, pieces, from_device, limits);
  EISBACH_RETURN_IF_ERROR(staging_->Wait());
  return WriteShard(path, pieces, from_staging, limits);
}

absl::StatusOr<std::vector<std::string>> Saver::GatherFiles() {
  EISBACH_ASSIGN_OR_RETURN(std::vector<std::string> files,
                           GatherText(written_, context_.world().communicator(),
                                      context_.device().compute_stream()));
  for (const std::string& text : files) {
    if (text.empty()) continue;
    EISBACH_ASSIGN_OR_RETURN(const Announced each, ParseAnnounced(text));
    outcome_.bytes += static_cast<int64_t>(each.file.bytes);
    outcome_.write_seconds = std::max(outcome_.write_seconds, each.seconds);
  }
  return files;
}

absl::Status Saver::Name(const std::vector<std::string>& files) {
  Manifest manifest = ManifestOf(request_, context_, optimizer_);
  for (const std::string& text : files) {
    if (text.empty()) continue;
    EISBACH_ASSIGN_OR_RETURN(Announced each, ParseAnnounced(text));
    manifest.files.push_back(std::move(each.file));
  }
  EISBACH_ASSIGN_OR_RETURN(const std::string text, FormatManifest(manifest));
  // What nobody could read must not get a name.
  EISBACH_ASSIGN_OR_RETURN(const Manifest read, ParseManifest(text));
  outcome_.id = read.id();
  const std::string folder = UnfinishedFolder(request_.root, request_.step);
  EISBACH_RETURN_IF_ERROR(
      WriteFileAtomically(absl::StrCat(folder, "/", kManifestName), text));
  return FinishFolder(folder, StepFolder(request_.root, request_.step));
}

std::optional<SaveOutcome> Saver::Advance() {
  if (!busy()) return std::nullopt;
  const comm::PhaseScope phase(context_.world().communicator().activity(),
                               comm::Phase::kSave);
  {
    const Adding stall(outcome_.stall_seconds);
    absl::Status status = Agree(Join());
    if (phase_ == Phase::kWriting) {
      std::vector<std::string> files;
      if (status.ok()) {
        absl::StatusOr<std::vector<std::string>> gathered = GatherFiles();
        status = gathered.status();
        if (gathered.ok()) files = *std::move(gathered);
      }
      outcome_.status = status;
      phase_ = Phase::kNaming;
      if (first()) {
        Start([this, status, files = std::move(files)]() -> absl::Status {
          const absl::Status named = status.ok() ? Name(files) : status;
          if (!named.ok()) {
            RemoveFolder(UnfinishedFolder(request_.root, request_.step));
          }
          return named;
        });
      }
      return std::nullopt;
    }
    if (outcome_.status.ok()) outcome_.status = status;
  }
  phase_ = Phase::kIdle;
  outcome_.seconds =
      std::chrono::duration<double>(Clock::now() - begin_).count();
  if (outcome_.status.ok()) {
    outcome_.path = StepFolder(request_.root, request_.step);
  } else {
    outcome_.id = std::nullopt;
    outcome_.status =
        Annotate(outcome_.status, absl::StrCat("save step ", request_.step));
  }
  return std::move(outcome_);
}

std::optional<SaveOutcome> Saver::Finish() {
  std::optional<SaveOutcome> outcome;
  while (busy()) outcome = Advance();
  return outcome;
}

}  // namespace eisbach::checkpoint
