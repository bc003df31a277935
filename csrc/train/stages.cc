#include "train/stages.h"

namespace eisbach::train {

absl::StatusOr<std::vector<parallel::LayerRange>> DivideLayers(
    const models::ModelConfig& config, absl::Span<const int> layers_per_stage,
    int stages) {
  if (!layers_per_stage.empty()) {
    return parallel::StagesOf(layers_per_stage, static_cast<int>(config.layers),
                              stages);
  }
  const double head = models::HeadFlopsPerToken(config);
  const double layer = (models::TrainingFlopsPerToken(config) - head) /
                       static_cast<double>(config.layers);
  parallel::LayerCosts costs;
  costs.layers.assign(config.layers, layer);
  costs.first_stage = 0;  // a look-up and a sum
  costs.last_stage = head;
  return parallel::BalanceStages(costs, stages);
}

}  // namespace eisbach::train
