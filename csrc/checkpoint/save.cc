#include "checkpoint/save.h"

#include <filesystem>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "checkpoint/agree.h"
#include "checkpoint/folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/stored_tensor.h"
#include "core/atomic_file.h"
#include "core/content_hash.h"
#include "core/mapped_file.h"
#include "core/status_macros.h"
#include "tensor/host_values.h"

namespace eisbach::checkpoint {
namespace {

struct Piece {
  SavedSlice saved;
  Tensor view;  // flat
};

absl::StatusOr<std::vector<Piece>> StoredPieces(
    absl::Span<const StoredTensor> stored) {
  std::vector<Piece> pieces;
  for (const StoredTensor& tensor : stored) {
    for (const LogicalSlice& slice : tensor.spec->slices) {
      if (!slice.primary || SliceElements(slice) == 0) continue;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor view, tensor.local.Narrow(0, SliceOffset(*tensor.spec, slice),
                                           SliceElements(slice)));
      pieces.push_back({{tensor.part, slice.name, slice.shape, BoxOf(slice)},
                        std::move(view)});
    }
  }
  return pieces;
}

absl::Status WritePieces(const std::string& path,
                         absl::Span<const Piece> pieces, Stream& stream) {
  std::vector<SavedSlice> slices;
  std::vector<SafetensorsSpec> specs;
  absl::flat_hash_map<std::string, const Piece*> by_key;
  for (const Piece& piece : pieces) {
    const std::string key = piece.saved.Key();
    slices.push_back(piece.saved);
    specs.push_back({key, DType::kF32, piece.saved.box.extent});
    by_key[key] = &piece;
  }
  EISBACH_ASSIGN_OR_RETURN(
      auto writer, SafetensorsWriter::Create(
                       path, specs, {{kSlicesKey, FormatSlices(slices)}}));
  std::vector<float> host;
  for (const SafetensorsEntry& entry : writer->entries()) {
    const Tensor& view = by_key[entry.name]->view;
    host.resize(view.elements());
    EISBACH_RETURN_IF_ERROR(ReadValues(view, host.data(), stream));
    EISBACH_RETURN_IF_ERROR(
        writer->Write(entry.name, host.data(), host.size() * sizeof(float)));
  }
  return writer->Commit();
}

// What this rank adds to the manifest, as text: "pipeline tensor bytes hash
// name".
absl::StatusOr<std::string> WriteShard(
    const std::string& folder, const FlatBuffer& buffer,
    const optim::Optimizer& optimizer,
    const parallel::ParallelContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<StoredTensor> stored,
                           StoredTensors(buffer, optimizer));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<Piece> pieces,
                           StoredPieces(stored));
  const int pipeline = context.index(Axis::kPipeline);
  const int tensor = context.index(Axis::kTensor);
  const std::string name =
      absl::StrCat("pipeline-", pipeline, "-tensor-", tensor, ".safetensors");
  const std::string path = absl::StrCat(folder, "/", name);
  EISBACH_RETURN_IF_ERROR(
      WritePieces(path, pieces, context.device().compute_stream()));
  EISBACH_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return absl::StrCat(pipeline, " ", tensor, " ", file.size(), " ",
                      ContentHash(std::span(file.data(), file.size())), " ",
                      name);
}

absl::StatusOr<ManifestFile> ParseShard(const std::string& text) {
  const std::vector<std::string> fields =
      absl::StrSplit(text, absl::MaxSplits(' ', 4));
  ManifestFile file;
  if (fields.size() != 5 || !absl::SimpleAtoi(fields[0], &file.pipeline) ||
      !absl::SimpleAtoi(fields[1], &file.tensor) ||
      !absl::SimpleAtoi(fields[2], &file.bytes) ||
      !absl::SimpleAtoi(fields[3], &file.hash)) {
    return absl::InternalError(
        absl::StrCat("a rank announced its file as \"", text, "\""));
  }
  file.name = fields[4];
  return file;
}

absl::Status WriteManifest(const std::string& folder, Manifest manifest,
                           absl::Span<const std::string> shards) {
  for (const std::string& shard : shards) {
    EISBACH_ASSIGN_OR_RETURN(ManifestFile file, ParseShard(shard));
    manifest.files.push_back(std::move(file));
  }
  EISBACH_ASSIGN_OR_RETURN(const std::string text, FormatManifest(manifest));
  return WriteFileAtomically(absl::StrCat(folder, "/", kManifestName), text);
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

// The steps of Save, each agreed on before the next.
absl::Status SaveTo(const std::string& folder, const SaveRequest& request,
                    const Manifest& manifest, const FlatBuffer& buffer,
                    const optim::Optimizer& optimizer,
                    const parallel::ParallelContext& context) {
  comm::Communicator& world = context.world().communicator();
  Stream& stream = context.device().compute_stream();
  const bool first = world.rank() == 0;
  const auto agree = [&](const absl::Status& status) {
    return AgreeOnStatus(status, world, stream);
  };
  EISBACH_RETURN_IF_ERROR(
      agree(first ? Prepare(request, manifest) : absl::OkStatus()));
  absl::StatusOr<std::string> shard = std::string();
  const bool writes = context.data().rank() == 0;
  if (writes) shard = WriteShard(folder, buffer, optimizer, context);
  EISBACH_RETURN_IF_ERROR(agree(shard.status()));
  absl::Status finished;
  if (writes) {
    const auto shards = GatherText(*shard, context.model(), stream);
    finished = shards.status();
    if (first && finished.ok()) {
      finished = WriteManifest(folder, manifest, *shards);
    }
    if (first && finished.ok()) {
      finished = FinishFolder(folder, StepFolder(request.root, request.step));
    }
  }
  return agree(finished);
}

}  // namespace

absl::StatusOr<std::string> Save(const SaveRequest& request,
                                 const FlatBuffer& buffer,
                                 const optim::Optimizer& optimizer,
                                 const parallel::ParallelContext& context) {
  EISBACH_RETURN_IF_ERROR(context.CheckJoined());
  if (context.device().type() == DeviceType::kMeta) {
    return absl::FailedPreconditionError("meta parameters have no values");
  }
  const comm::PhaseScope phase(context.world().communicator().activity(),
                               comm::Phase::kSave);
  const Manifest manifest{request.step,
                          LayoutOf(context.mesh()),
                          optimizer.state_names(),
                          request.config,
                          request.state,
                          request.loss_scale,
                          {}};
  const std::string folder = UnfinishedFolder(request.root, request.step);
  const absl::Status saved =
      SaveTo(folder, request, manifest, buffer, optimizer, context);
  if (saved.ok()) return StepFolder(request.root, request.step);
  if (context.world().rank() == 0) RemoveFolder(folder);
  return Annotate(saved, absl::StrCat("save step ", request.step));
}

}  // namespace eisbach::checkpoint
