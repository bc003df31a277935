#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "comm/world.h"
#include "parallel/mesh.h"

namespace eisbach::parallel {

// A mesh and the communicators over the sets of its axes that training uses.
// Passed by reference to whatever is divided among ranks; there is no global.
class ParallelContext {
 public:
  // Collective over the world, which must outlive the context.
  static absl::StatusOr<std::unique_ptr<ParallelContext>> Make(
      comm::World& world, const Mesh& mesh);

  const Mesh& mesh() const { return mesh_; }
  comm::World& world() const { return world_; }
  Device& device() const { return world_.device(); }
  // FailedPrecondition once the job has ended.
  absl::Status CheckJoined() const {
    return world_.communicator().CheckJoined();
  }

  int size(Axis axis) const { return mesh_.size(axis); }
  int index(Axis axis) const { return mesh_.CoordinateOf(world_.rank(), axis); }
  bool first_stage() const { return index(Axis::kPipeline) == 0; }
  bool last_stage() const {
    return index(Axis::kPipeline) == size(Axis::kPipeline) - 1;
  }

  // All ranks in the order of the mesh, so that a sum over them depends on the
  // layout and not on which rank stands where.
  comm::Communicator& everyone() const {
    return everyone_ == nullptr ? world_.communicator() : *everyone_;
  }
  // Ranks that divide the layers' matrices among them.
  comm::Communicator& tensor() const { return *tensor_; }
  // Ranks that see other samples (or other positions) with equal weights:
  // gradients are summed over data x context.
  comm::Communicator& data() const { return *data_; }
  // Ranks that have the other tokens of this one's rows.
  comm::Communicator& context() const { return *context_; }
  // Ranks that hold the other stages; its ranks are the stages.
  comm::Communicator& pipeline() const { return *pipeline_; }
  // Ranks that together hold the model once: pipeline x tensor.
  comm::Communicator& model() const { return *model_; }
  // First and last stage, which may share the embedding; null elsewhere and
  // where there is one stage.
  comm::Communicator* tied() const { return tied_.get(); }

 private:
  ParallelContext(comm::World& world, const Mesh& mesh)
      : world_(world), mesh_(mesh) {}

  comm::World& world_;
  Mesh mesh_;
  std::unique_ptr<comm::Communicator> everyone_;  // null: the world's own
  std::unique_ptr<comm::Communicator> tensor_, data_, context_, pipeline_;
  std::unique_ptr<comm::Communicator> model_, tied_;
};

}  // namespace eisbach::parallel
