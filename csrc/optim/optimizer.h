#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "optim/groups.h"
#include "optim/step_state.h"
#include "tensor/flat_buffer.h"

namespace eisbach::optim {

// Keys that an update rule does not know are not read.
struct OptimizerConfig {
  std::string name;  // "adamw" or "sgd"
  double beta1;      // adamw: decay of the first moment
  double beta2;      // adamw: decay of the second moment
  double eps;        // adamw
  double momentum;   // sgd; 0 keeps no velocity
  // Of parameters whose spec says `decay`, and nothing else instead.
  double weight_decay;
  // adamw: the bf16 copy of the weights is rounded at random, not to nearest.
  bool stochastic_rounding = false;
  uint64_t seed = 0;  // of that
  std::vector<ParameterGroup> groups;
};

// One flat tensor of optimizer state: f32, of the bucket's own elements.
struct OptimizerState {
  std::string name;  // "m", "v": the same for every bucket
  size_t bucket;     // index in FlatBuffer::buckets()
  Tensor tensor;
};

// The update rule of a stage's parameters: policy and state; the arithmetic is
// in ops/optimizer.h. State starts at zero.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Updates master and weights of every bucket's own elements from its reduced
  // gradient, in one kernel a segment. Nothing changes where `state` says that
  // the gradient is not finite. The gradient is left as it is.
  virtual absl::Status Step(const StepState& state, Stream& stream) = 0;

  // Writes the weights of every bucket from its master as the Step of `state`'s
  // step did. Nothing where they are one.
  virtual absl::Status RefreshData(const StepState& state, Stream& stream);

  // The state, by bucket and then by name: what a checkpoint saves. Writing to
  // the tensors restores it.
  const std::vector<OptimizerState>& StateTensors() const { return state_; }
  // Its names, in order, also where no parameter of the stage is trained.
  const std::vector<std::string>& state_names() const { return state_names_; }

 protected:
  Optimizer() = default;

  // A part of a bucket that one kernel updates.
  struct Range {
    Tensor data, master, grad;
    std::vector<Tensor> state;  // in the order of the names
    float weight_decay;
    float rate_factor;
    size_t bucket;
    int64_t offset;  // in the bucket
  };

  // Allocates a state tensor of each name for each bucket and cuts the buckets
  // into ranges of one weight decay and rate factor.
  absl::Status Init(FlatBuffer& buffer, absl::Span<const char* const> names,
                    double weight_decay, Stream& stream);

  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  std::vector<std::string> state_names_;
  std::vector<OptimizerState> state_;
  std::vector<Range> ranges_;
};

// Whether MakeOptimizer takes `config` for weights in `compute_dtype`: a known
// name, and numbers that f32 holds. Messages name the key.
absl::Status Validate(const OptimizerConfig& config, DType compute_dtype);

// Makes the optimizer that `config` names. It shares the buckets' storage and
// keeps no reference to `buffer` itself. An unknown name is an error that lists
// the known ones.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream);

}  // namespace eisbach::optim
