#pragma once

#include <memory>
#include <optional>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "parallel/pipeline/schedule.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

// How much of backward an action asks for.
enum class BackwardPart : uint8_t { kAll, kInput };

// What a stage computes, as the executor sees it.
class StageProgram {
 public:
  virtual ~StageProgram() = default;

  // Shape and dtype of what stages pass to one another for a micro-batch.
  virtual Shape ActivationShape(int microbatch) const = 0;
  virtual DType ActivationDType() const = 0;

  // `input` is undefined at the start of the model (the program has the
  // tokens); the result is undefined at its end (the program keeps the loss).
  virtual absl::StatusOr<Tensor> Forward(int microbatch, int chunk,
                                         const Tensor& input) = 0;
  // `gradient` is that of Forward's result, undefined at the end of the model.
  // Returns the gradient of `input`, undefined at the start of the model.
  virtual absl::StatusOr<Tensor> Backward(int microbatch, int chunk,
                                          BackwardPart part,
                                          const Tensor& gradient) = 0;
  virtual absl::Status BackwardWeight(int microbatch, int chunk) = 0;
  virtual absl::Status Reduce(int chunk) = 0;
};

// Runs a stage's list of actions, whatever schedule made it. Exchanges run on a
// stream of their own; compute waits for exactly the tensor that it reads.
class Executor {
 public:
  // `pipeline`'s ranks are the stages. It and `compute` outlive the executor.
  static absl::StatusOr<std::unique_ptr<Executor>> Make(
      comm::Communicator& pipeline, Stream& compute);

  // `actions` is the list of this rank's stage. After it nothing is left over;
  // an activation nobody used is an Internal error.
  absl::Status Run(const ScheduleShape& shape, const ActionList& actions,
                   StageProgram& program);

 private:
  struct Arrival {
    Tensor tensor;
    std::optional<Event> event;  // when it is there; made by compute: no event
  };
  using Key = std::tuple<Payload, int, int>;  // payload, micro-batch, chunk

  Executor(comm::Communicator& pipeline, Stream& compute)
      : pipeline_(pipeline),
        compute_(compute),
        activity_(pipeline.activity()) {}

  absl::Status RunAction(const ScheduleShape& shape, const Action& action,
                         StageProgram& program);
  absl::Status RunExchange(const Action& action, StageProgram& program);
  // What `action` reads from another part of the model, of whatever stage;
  // undefined at the model's ends.
  absl::StatusOr<Tensor> Input(const ScheduleShape& shape,
                               const Action& action);
  // Keeps what `action` made until an exchange or another chunk takes it.
  void Output(const ScheduleShape& shape, const Action& action, Tensor tensor);

  comm::Communicator& pipeline_;
  Stream& compute_;
  comm::Activity* const activity_;  // null: nobody wants to know
  std::unique_ptr<Stream> exchanges_;
  absl::flat_hash_map<Key, Arrival> arrived_;
  absl::flat_hash_map<Key, Tensor> made_;
};

}  // namespace eisbach::parallel
