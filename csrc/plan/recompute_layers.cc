#include "plan/recompute_layers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/status_macros.h"
#include "plan/estimate.h"
#include "train/stages.h"

namespace eisbach::plan {
namespace {

// In thousandths, upwards: what is offered has to work.
std::string GibText(int64_t bytes) {
  const double thousandths = static_cast<double>(bytes) * 1000 / (1 << 30);
  return absl::StrFormat("%.3f", std::ceil(thousandths) / 1000);
}

// Those that see other samples take the same.
std::vector<int> RanksThatDiffer(const parallel::Mesh& mesh) {
  std::vector<int> ranks;
  for (int stage = 0; stage < mesh.size(Axis::kPipeline); ++stage) {
    for (int tensor = 0; tensor < mesh.size(Axis::kTensor); ++tensor) {
      parallel::Coordinates place;
      place[Axis::kPipeline] = stage;
      place[Axis::kTensor] = tensor;
      ranks.push_back(mesh.RankOf(place));
    }
  }
  return ranks;
}

class FewestSearch {
 public:
  FewestSearch(const train::EngineConfig& config, const parallel::Mesh& mesh,
               const MemoryLimit& limit)
      : config_(config), mesh_(mesh), limit_(limit) {}

  // The fewest that fit; where none do, nothing, and least() is known.
  absl::StatusOr<std::optional<int64_t>> Fewest() {
    EISBACH_ASSIGN_OR_RETURN(int64_t most, MostBlocks());
    EISBACH_ASSIGN_OR_RETURN(bool fits, Fits(0));
    if (fits) return 0;
    EISBACH_ASSIGN_OR_RETURN(fits, Fits(most));
    if (!fits) return FirstOf(most);
    int64_t least = 0;
    while (most - least > 1) {
      const int64_t middle = least + (most - least) / 2;
      EISBACH_ASSIGN_OR_RETURN(fits, Fits(middle));
      (fits ? most : least) = middle;
    }
    return most;
  }

  // Bytes of the rank that takes most, with the number that is best for it.
  int64_t least() const { return least_; }

 private:
  // Of any stage.
  absl::StatusOr<int64_t> MostBlocks() const {
    EISBACH_ASSIGN_OR_RETURN(
        const parallel::ScheduleShape shape,
        train::ShapeOfStep(config_.pipeline_schedule,
                           mesh_.size(Axis::kPipeline), config_.chunks,
                           /*micro_batches=*/1));
    EISBACH_ASSIGN_OR_RETURN(
        const std::vector<parallel::LayerRange> parts,
        train::DivideLayers(config_.model, config_.layers_per_stage, shape));
    return train::MostBlocksOfAStage(parts, shape);
  }

  absl::StatusOr<int64_t> Bytes(int rank, int64_t layers) {
    config_.recompute_layers = layers;
    EISBACH_ASSIGN_OR_RETURN(
        const RankMemory memory,
        EstimateMemory(config_, mesh_, rank, limit_.device));
    return memory.peak() + (limit_.copies ? memory.saving : 0);
  }

  absl::StatusOr<bool> Fits(int64_t layers) {
    for (const int rank : RanksThatDiffer(mesh_)) {
      EISBACH_ASSIGN_OR_RETURN(const int64_t bytes, Bytes(rank, layers));
      if (bytes > limit_.bytes) return false;
    }
    return true;
  }

  // What is best need not be to recompute all: the block that backward begins
  // with would only be there twice.
  absl::StatusOr<std::optional<int64_t>> FirstOf(int64_t most) {
    least_ = std::numeric_limits<int64_t>::max();
    for (int64_t layers = 0; layers <= most; ++layers) {
      int64_t there = 0;
      for (const int rank : RanksThatDiffer(mesh_)) {
        EISBACH_ASSIGN_OR_RETURN(const int64_t bytes, Bytes(rank, layers));
        there = std::max(there, bytes);
      }
      if (there <= limit_.bytes) return layers;
      least_ = std::min(least_, there);
    }
    return std::nullopt;
  }

  train::EngineConfig config_;
  const parallel::Mesh& mesh_;
  const MemoryLimit limit_;
  int64_t least_ = 0;
};

// Other values with which it fits.
std::string Offers(const train::EngineConfig& config,
                   const parallel::Mesh& mesh, const MemoryLimit& limit,
                   int64_t needed) {
  std::string offers;
  const auto fits = [&](const train::EngineConfig& other) {
    const auto layers = FewestSearch(other, mesh, limit).Fewest();
    return layers.ok() && layers->has_value();
  };
  train::EngineConfig other = config;
  other.recompute = nn::Recompute::kBlock;
  if (config.recompute != nn::Recompute::kBlock && fits(other)) {
    absl::StrAppend(&offers, "train.recompute=block, or ");
  }
  other = config;
  for (int64_t size = config.micro_batch - 1; size > 0; --size) {
    if (config.micro_batch % size != 0) continue;
    other.micro_batch = size;
    if (!fits(other)) continue;
    absl::StrAppend(&offers, "train.micro_batch=", size, ", or ");
    break;
  }
  return absl::StrCat(offers, "train.recompute_gib=", GibText(needed));
}

}  // namespace

absl::StatusOr<int64_t> FewestRecomputed(const train::EngineConfig& config,
                                         const parallel::Mesh& mesh,
                                         const MemoryLimit& limit) {
  if (config.recompute == nn::Recompute::kNothing) {
    return absl::InvalidArgumentError(
        "recompute_layers=auto has no meaning where train.recompute=none "
        "(train.recompute_layers); nearest that works: recompute=selective");
  }
  FewestSearch search(config, mesh, limit);
  EISBACH_ASSIGN_OR_RETURN(const std::optional<int64_t> layers,
                           search.Fewest());
  if (layers) return *layers;
  return absl::InvalidArgumentError(absl::StrCat(
      "recompute_layers=auto: a rank has ", GibText(limit.bytes),
      " GiB for tensors, and one takes ", GibText(search.least()),
      " whatever is recomputed (train.recompute_layers); nearest that works: ",
      Offers(config, mesh, limit, search.least())));
}

}  // namespace eisbach::plan
