#include "checkpoint/stored_tensor.h"

#include <utility>

#include "core/status_macros.h"

namespace eisbach::checkpoint {

absl::StatusOr<std::vector<StoredTensor>> StoredTensors(
    const FlatBuffer& buffer, const optim::Optimizer& optimizer) {
  std::vector<StoredTensor> stored;
  for (size_t b = 0; b < buffer.buckets().size(); ++b) {
    const FlatBucket& bucket = buffer.buckets()[b];
    for (size_t i = 0; i < bucket.parameters.size(); ++i) {
      const ParamSpec& spec = bucket.parameters[i]->spec();
      const auto cut = [&](const Tensor& flat) {
        return flat.Narrow(0, bucket.offsets[i], spec.shape.elements());
      };
      EISBACH_ASSIGN_OR_RETURN(Tensor master, cut(bucket.master));
      stored.push_back({"", &spec, std::move(master)});
      for (const optim::OptimizerState& state : optimizer.StateTensors()) {
        if (state.bucket != b) continue;
        EISBACH_ASSIGN_OR_RETURN(Tensor local, cut(state.tensor));
        stored.push_back({state.name, &spec, std::move(local)});
      }
    }
  }
  for (const FrozenBlock& block : buffer.frozen()) {
    for (size_t i = 0; i < block.parameters.size(); ++i) {
      const ParamSpec& spec = block.parameters[i]->spec();
      if (spec.role == AdapterRole::kBase) continue;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor value,
          block.data.Narrow(0, block.offsets[i], spec.shape.elements()));
      stored.push_back({"", &spec, std::move(value)});
    }
  }
  return stored;
}

}  // namespace eisbach::checkpoint
