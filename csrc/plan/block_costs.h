#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "parallel/pipeline/action.h"
#include "parallel/pipeline/partition.h"
#include "plan/hardware.h"
#include "plan/layer_kind.h"
#include "plan/layout.h"
#include "plan/play.h"
#include "train/engine.h"

namespace eisbach::plan {

// What a rank has to do for a part of the model and a micro-batch, whatever
// else it waits for, and the bytes that the part takes.
struct PartCosts {
  double forward = 0;   // seconds
  double backward = 0;  // both halves
  double input = 0;     // of these, until the part before can go on
  double kept = 0;      // from forward until backward
  double held = 0;      // of this, behind backward's input half
  double head = 0;      // of this, gone when backward comes to blocks
  double weights = 0;   // of all copies together
  double gradients = 0;
  double state = 0;  // of the optimizer
  // Bytes that ranks which see other samples gather and sum up, where they
  // divide weights (zero 3) and gradients (from zero 2 on).
  double gathered = 0;
  double summed = 0;
  // No sums: of memory, while backward is in a block; of what is summed up, the
  // most at once.
  double working = 0;
  double bucket = 0;

  PartCosts& operator+=(const PartCosts& other);
};
PartCosts operator+(PartCosts costs, const PartCosts& other);
PartCosts operator*(const PartCosts& costs, double factor);
PartCosts operator-(PartCosts costs, const PartCosts& other);

// The same of what models are made of. All parts have `each` once.
struct ModelCosts {
  PartCosts each, first, last;
  std::map<LayerKind, PartCosts> blocks;
  // Those of which nothing is recomputed, where others are; empty: none is so.
  std::map<LayerKind, PartCosts> plain;
  // Of weights, gradients and state, what first and last part have in common
  // where one stage has both: tied embeddings.
  PartCosts shared;
  double working = 0;
  double bucket = 0;

  ModelCosts& operator+=(const ModelCosts& other);
  // Of these, the first `recomputed` are, the others are plain.
  PartCosts Of(const models::ModelConfig& model,
               const parallel::LayerRange& layers, int64_t recomputed) const;
};

// Costs of blocks and of a model's ends, from what the real Engine of a model
// with very few blocks was given on each of three stages (record.h): a block
// is what a stage of two has more than one of one. Ops, and collectives among
// tensor and context ranks that compute waits for, count for as long as they
// take alone. So a part takes at least what these say.
class BlockCosts {
 public:
  // They outlive it.
  BlockCosts(const train::EngineConfig& config, const Hardware& hardware,
             const PlayOptions& play)
      : config_(config), hardware_(hardware), play_(play) {}

  // On a layout whose stages compute in such an order, with backwards whole or
  // in halves; where it has both kinds, the less of each. From any thread.
  // Fails as Engine::Validate where such a model cannot be.
  absl::StatusOr<ModelCosts> On(const Layout& layout,
                                const parallel::ActionList& order);

 private:
  enum class What : uint8_t { kTimes, kTraffic, kState };
  // A model on three stages, of which some costs are asked.
  struct Question {
    What what;
    Layout layout;
    bool single = false;  // whether there is one micro-batch alone
  };
  // What of it tells one from another.
  using Key = std::tuple<What, int, int, int, int, int64_t, nn::Recompute, int,
                         std::string, bool>;

  // What a block has more between steps than what is in the experts' place,
  // before copies divide it.
  absl::StatusOr<PartCosts> StateOfExperts(const Layout& layout);
  // Layouts that differ in what changes no answer share it.
  absl::StatusOr<ModelCosts> Known(const Question& question);
  absl::StatusOr<ModelCosts> Record(const Question& question) const;
  // Of the last of three stages, the first, or the one between, which has
  // `middle` blocks of a kind.
  absl::StatusOr<PartCosts> Stage(const Question& question, int stage,
                                  int middle, const LayerKind& kind) const;
  // The state of a model of one block and stage.
  absl::StatusOr<PartCosts> StateOfOne(Layout layout,
                                       const LayerKind& kind) const;

  const train::EngineConfig& config_;
  const Hardware& hardware_;
  const PlayOptions play_;
  std::mutex mutex_;
  std::map<Key, absl::StatusOr<ModelCosts>> known_;
  std::optional<absl::StatusOr<RankMemory>> weight_;  // BytesOfWeight
};

}  // namespace eisbach::plan
