#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/config.h"
#include "parallel/mesh.h"
#include "plan/estimate.h"
#include "train/engine.h"

namespace eisbach::plan {

// Layers of experts in place of each MLP: of `count` equal ones a router picks
// `per_token` for each token, whose outputs are added up, weighed (Shazeer et
// al., arXiv:1701.06538); beside them each token goes through what is shared
// (DeepSeekMoE, arXiv:2401.06066). The runtime has none: they are modelled.
//
// `ranks` neighbours in the order tensor, context, data divide a layer's
// experts, each of which is whole on its rank: the folding of Liu et al.
// (arXiv:2504.14960), where attention divides the ranks of a stage by tensor x
// context x data and experts divide the same ranks by 1 x ranks x the rest. So
// each rank sends the tokens that it has between projections, and gradients of
// experts are summed by the `rest` ranks that have the same.
struct Experts {
  int64_t count = 0;  // of a layer; 0: the model is dense
  int64_t per_token = 1;
  int64_t hidden = 0;  // width of one
  int64_t shared_hidden = 0;
  int ranks = 1;

  bool any() const { return count > 0; }
  // Whether a token has a choice.
  bool routed() const { return count > 1; }
  int64_t local() const { return count / ranks; }
  // That a token goes through.
  int64_t active_hidden() const { return per_token * hidden + shared_hidden; }
};

// Whether what is trained can have them, each of which a token of a step meets
// at least; messages name the option and the nearest that works.
absl::Status Check(const Experts& experts, const train::EngineConfig& config);
// Whether so many ranks can divide them on `mesh`.
absl::Status Check(const Experts& experts, const parallel::Mesh& mesh);

// What runs in their place: the same model with MLPs about as wide as what a
// token goes through, so that no other product has their sizes. What is
// recorded of it becomes what experts do (expert_work.h). All of plan/ takes
// this configuration beside `experts`. As it is where there are none.
absl::StatusOr<train::EngineConfig> DenseOf(const train::EngineConfig& config,
                                            const Experts& experts);

// Numbers of the whole model, all of them and those that a token meets, and
// what training takes of a token (models/config.h), without recomputing:
// 6 a weight that it meets, router included.
struct ModelSize {
  int64_t parameters = 0;
  int64_t active = 0;
  double flops_per_token = 0;
};
ModelSize SizeOf(const models::ModelConfig& model, const Experts& experts);

// Weights of a layer on a rank.
struct ExpertWeights {
  double recorded = 0;  // of the MLP in their place
  double dense = 0;     // router, and of what is shared this rank's part
  double experts = 0;   // that are this rank's
};
ExpertWeights WeightsOf(const train::EngineConfig& dense,
                        const Experts& experts, int tensor);

// Bytes by kinds that a weight of an MLP takes where nothing is divided: what
// Engines tell that differ in its width. `dense`: of DenseOf.
absl::StatusOr<RankMemory> BytesOfWeight(const train::EngineConfig& dense);

// How many ranks have the same experts.
int RanksAlike(const parallel::Mesh& mesh, const Experts& experts);

// How many ranks divide a kind of state that is kept whole below stage `least`
// of ZeRO.
struct Parts {
  double dense = 1;
  double experts = 1;
};
Parts PartsOf(const train::EngineConfig& dense, const parallel::Mesh& mesh,
              const Experts& experts, int least);

// What a rank with `layers` of them holds between steps, where `memory` is what
// the dense model does.
absl::StatusOr<RankMemory> WithExperts(const RankMemory& memory,
                                       const train::EngineConfig& dense,
                                       const parallel::Mesh& mesh,
                                       const Experts& experts, int64_t layers);

}  // namespace eisbach::plan
