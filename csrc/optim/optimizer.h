#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "optim/groups.h"
#include "optim/matrix_ranks.h"
#include "optim/step_state.h"
#include "tensor/flat_buffer.h"

namespace eisbach::optim {

// Keys that an update rule does not know are not read.
struct OptimizerConfig {
  std::string name;  // "adamw", "lion", "muon" or "sgd"
  double beta1;      // adamw, muon: decay of the first moment; lion
  double beta2;      // adamw, muon: decay of the second moment; lion
  double eps;        // adamw, muon
  double momentum;   // muon; sgd: 0 keeps no velocity
  // Of parameters whose spec says `decay`, and nothing else instead.
  double weight_decay;
  // adamw: the bf16 copy of the weights is rounded at random, not to nearest.
  bool stochastic_rounding = false;
  uint64_t seed = 0;  // of that
  // muon; see optim/muon.h.
  bool nesterov = true;
  int newton_schulz_steps = 5;
  std::string matrix_scale = "original";  // or "match_rms_adamw"
  double adamw_rate_factor = 1;  // of what AdamW trains, times the rate
  // Decay of an average of the weights (ops/average.h), which starts as they
  // do; 0: none is kept.
  double average_decay = 0;
  std::vector<ParameterGroup> groups;
};

// The name of the state that is an average of the weights.
inline constexpr char kAverageName[] = "ema";

// One flat tensor of optimizer state: f32, of the bucket's own elements, or of
// those that have such a state: some whole parameters, as far as they are its
// own.
struct OptimizerState {
  std::string name;    // "m", "v"
  size_t bucket;       // index in FlatBuffer::buckets()
  ElementRange range;  // of the bucket
  Tensor tensor;
};

// The update rule of a stage's parameters: policy and state; the arithmetic is
// in ops/. State starts at zero, but for the average of weights.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // Updates master and weights of every bucket's own elements from its reduced
  // gradient, in one kernel a segment. Nothing changes where `state` says that
  // the gradient is not finite. The gradient is left as it is.
  // Then the average of the weights.
  absl::Status Step(const StepState& state, Stream& stream);

  // Writes the weights of every bucket from its master as the Step of `state`'s
  // step did. Nothing where they are one.
  virtual absl::Status RefreshData(const StepState& state, Stream& stream);

  // Makes the average of the weights what they are: before the first step, when
  // masters were written. Nothing where none is kept.
  absl::Status StartAverage(Stream& stream);

  // The state, by bucket and then by name: what a checkpoint saves. Writing to
  // the tensors restores it.
  const std::vector<OptimizerState>& StateTensors() const { return state_; }
  // Its names, in order, also where no parameter of the stage is trained.
  const std::vector<std::string>& state_names() const { return state_names_; }

 protected:
  Optimizer() = default;

  // What Step does with the weights.
  virtual absl::Status Apply(const StepState& state, Stream& stream) = 0;

  struct StateName {
    const char* name;
    bool of_matrices = true;  // parameters that are trained as_matrices too
  };
  // A part of a bucket that one kernel updates.
  struct Range {
    Tensor data, master, grad;
    std::vector<Tensor> state;  // in the order of the names
    float weight_decay;
    float rate_factor;
    size_t bucket;
    int64_t offset;  // in the bucket
  };

  // Allocates a state tensor of each name for each bucket, and the average, and
  // cuts what is not trained as_matrices into ranges of one weight decay and
  // rate factor.
  absl::Status Init(FlatBuffer& buffer, absl::Span<const StateName> names,
                    const OptimizerConfig& config, Stream& stream);

  const std::vector<Range>& ranges() const { return ranges_; }

 private:
  struct Averaged {
    Tensor master, average;
  };

  // Of a bucket.
  absl::Status AddStates(size_t index, const FlatBucket& bucket,
                         absl::Span<const StateName> names, Stream& stream);
  absl::Status AddRanges(size_t index, const FlatBucket& bucket,
                         size_t first_state, size_t states,
                         const OptimizerConfig& config);

  std::vector<std::string> state_names_;
  std::vector<OptimizerState> state_;
  std::vector<Range> ranges_;
  double average_decay_ = 0;
  std::vector<Averaged> averages_;
};

// Whether each beta is in [0, 1), for the rules that have them.
absl::Status CheckBetas(const OptimizerConfig& config);

// The weight decay of a parameter.
float WeightDecayOf(const OptimizerConfig& config, bool decays,
                    const Training& training);

// Whether MakeOptimizer takes `config` for weights in `compute_dtype`: a known
// name, and numbers that f32 holds. Messages name the key.
absl::Status Validate(const OptimizerConfig& config, DType compute_dtype);

// Makes the optimizer that `config` names. It shares the buckets' storage and
// keeps no reference to `buffer` itself. An unknown name is an error that lists
// the known ones. `ranks`, of which matrices have use, outlives it; null where
// one rank has all.
absl::StatusOr<std::unique_ptr<Optimizer>> MakeOptimizer(
    const OptimizerConfig& config, FlatBuffer& buffer, Stream& stream,
    MatrixRanks* ranks = nullptr);

}  // namespace eisbach::optim
