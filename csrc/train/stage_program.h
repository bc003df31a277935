#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "autograd/graph.h"
#include "models/transformer.h"
#include "parallel/context/divided_sequence.h"
#include "parallel/pipeline/executor.h"

namespace eisbach::train {

// One rank's share of a step's samples, on the rank's device. Ranks of one data
// index hold the same, and rows are whole.
struct StepInput {
  Tensor tokens;        // i32 [samples, T], in [0, vocab)
  Tensor targets;       // i32 [samples, T], below vocab; below 0: masked
  Tensor sample_index;  // i64 [samples], see nn::ForwardContext
  // Above every id, as whoever had them in host memory has seen, and above
  // every vocabulary where a token is negative. 0: nobody has looked.
  int64_t ids_below = 0;
  // i32 [samples, T], see nn::ForwardContext; undefined: a row is one document.
  Tensor starts{};
  // f64 [samples, ops::kPairSums], what the reference thinks of rows that are
  // pairs; undefined: they are none, or the model without its adapters is it.
  Tensor reference{};
};

// Where a rank's losses go, in device memory.
struct LossSums {
  Tensor losses;  // f64 [micro-batches]
  // f64 [1], to which the tokens that count are added; of pairs f64
  // [ops::kPreferenceTotals], to which these are.
  Tensor counted;
};

// What is done with a step whose rows are pairs of answers.
struct PairTask {
  // The loss, against StepInput::reference; null: they are measured alone.
  const ops::PreferenceRule* rule;
  Tensor measured{};  // f64 [samples, ops::kPairSums], where there is no rule
};

// Runs the micro-batches of a step through the chunks of one stage of a
// transformer: a graph for each in flight, kept for the next step.
class TransformerProgram final : public parallel::StageProgram {
 public:
  // `sequence`: by which ranks divide rows, and which outlives the program;
  // null: a rank has whole ones.
  TransformerProgram(models::Transformer& model, DType compute_dtype,
                     const parallel::DividedSequence* sequence = nullptr)
      : model_(model), compute_dtype_(compute_dtype), sequence_(sequence) {}

  // From here on training divides the tokens of a micro-batch among `ranks` of
  // a tensor group, of which this is `rank`. `beside`: nn::TokenShare::beside.
  void DivideTokens(int rank, int ranks, std::unique_ptr<Stream> beside) {
    tensor_rank_ = rank;
    dividing_ranks_ = ranks;
    gathers_ = std::move(beside);
  }

  // Prepares a step. Micro-batch m is rows [m * micro_batch, ...) of `input`.
  // At the end of the model its loss, `loss_scale` x the sum over its tokens,
  // goes to sums.losses[m]. Without `context.training` no graph is recorded.
  // Where rows are `pairs`, these have losses instead of tokens.
  // InvalidArgument where tokens are to be divided and leave a rest.
  absl::Status Begin(StepInput input, int64_t micro_batch, float loss_scale,
                     const LossSums& sums, nn::ForwardContext context,
                     std::optional<PairTask> pairs = std::nullopt);

  // Lets go of what was made for the step's pairs.
  void Release();

  Shape ActivationShape(int microbatch) const override;
  DType ActivationDType() const override { return compute_dtype_; }
  absl::StatusOr<Tensor> Forward(int microbatch, int chunk,
                                 const Tensor& input) override;
  absl::StatusOr<Tensor> Backward(int microbatch, int chunk,
                                  parallel::BackwardPart part,
                                  const Tensor& gradient) override;
  absl::Status BackwardWeight(int microbatch, int chunk) override;
  absl::Status Reduce(int) override { return absl::OkStatus(); }

  // Told to every graph that the program makes, see Graph::set_observer.
  void set_observer(autograd::Observer* observer) { observer_ = observer; }

 private:
  struct Flight {
    std::unique_ptr<autograd::Graph> graph;
    Tensor input;   // the leaf, where a gradient goes upstream
    Tensor output;  // its edge alone: backward starts there
    autograd::Deferred deferred;
  };

  // Among how many ranks rows are divided.
  int row_parts() const {
    return sequence_ == nullptr ? 1 : sequence_->ranks();
  }
  absl::StatusOr<Tensor> Rows(const Tensor& all, int microbatch) const;
  // Of tokens, this rank's part.
  absl::StatusOr<Tensor> Part(const Tensor& all, int microbatch) const;
  // Of `microbatch` through `chunk`.
  Flight& FlightOf(int microbatch, int chunk) {
    return flights_[static_cast<size_t>(microbatch) * model_.chunks() + chunk];
  }
  absl::StatusOr<Tensor> Run(int microbatch, int chunk, const Tensor& input,
                             Flight& flight);
  // What the last chunk of the model makes of its output.
  absl::Status End(int microbatch, const Tensor& y,
                   const nn::ForwardContext& context, Flight& flight);

  models::Transformer& model_;
  const DType compute_dtype_;
  const parallel::DividedSequence* const sequence_;
  autograd::Observer* observer_ = nullptr;
  int tensor_rank_ = 0;
  int dividing_ranks_ = 1;
  std::unique_ptr<Stream> gathers_;

  StepInput input_;
  int64_t micro_batch_ = 0;
  float loss_scale_ = 0;
  Tensor losses_;
  std::optional<PairTask> pairs_;
  std::unique_ptr<nn::ForwardContext> context_;
  std::vector<Flight> flights_;
  std::vector<std::unique_ptr<autograd::Graph>> idle_graphs_;
};

}  // namespace eisbach::train
