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
      const Parameter& parameter = *bucket.parameters[i];
      const ElementRange own = parameter.own();
      if (own.elements == 0) continue;
      const int64_t begin = bucket.offsets[i] + own.begin;
      const auto add = [&](const std::string& part, const Tensor& flat,
                           const ElementRange& range) -> absl::Status {
        EISBACH_ASSIGN_OR_RETURN(
            Tensor local, flat.Narrow(0, begin - range.begin, own.elements));
        stored.push_back({part, &parameter.spec(), std::move(local), own,
                          parameter.divided()});
        return absl::OkStatus();
      };
      EISBACH_RETURN_IF_ERROR(add("", bucket.master, bucket.own));
      for (const optim::OptimizerState& state : optimizer.StateTensors()) {
        const bool has = Intersect({begin, own.elements}, state.range).elements;
        if (state.bucket != b || !has) continue;
        EISBACH_RETURN_IF_ERROR(add(state.name, state.tensor, state.range));
      }
    }
  }
  for (const FrozenBlock& block : buffer.frozen()) {
    for (const Parameter* parameter : block.parameters) {
      const ParamSpec& spec = parameter->spec();
      const ElementRange own = parameter->own();
      if (spec.role == AdapterRole::kBase || own.elements == 0) continue;
      EISBACH_ASSIGN_OR_RETURN(Tensor value,
                               parameter->master().View(Shape{own.elements}));
      stored.push_back(
          {"", &spec, std::move(value), own, parameter->divided()});
    }
  }
  return stored;
}

}  // namespace eisbach::checkpoint
