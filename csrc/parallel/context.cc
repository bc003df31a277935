#include "parallel/context.h"

#include <string>

#include "core/status_macros.h"

namespace eisbach::parallel {

absl::StatusOr<std::unique_ptr<ParallelContext>> ParallelContext::Make(
    comm::World& world, const Mesh& mesh) {
  std::unique_ptr<ParallelContext> context(new ParallelContext(world, mesh));
  comm::Communicator& ranks = world.communicator();
  const auto group = [&](AxisSet axes, std::string name) {
    return ranks.Subgroup(mesh.Group(world.rank(), axes), std::move(name));
  };
  if (mesh.placed()) {
    EISBACH_ASSIGN_OR_RETURN(
        context->everyone_,
        group({Axis::kPipeline, Axis::kData, Axis::kContext, Axis::kTensor},
              "everyone"));
  }
  EISBACH_ASSIGN_OR_RETURN(context->tensor_, group({Axis::kTensor}, "tensor"));
  EISBACH_ASSIGN_OR_RETURN(context->data_,
                           group({Axis::kData, Axis::kContext}, "data"));
  EISBACH_ASSIGN_OR_RETURN(context->context_,
                           group({Axis::kContext}, "context"));
  EISBACH_ASSIGN_OR_RETURN(context->pipeline_,
                           group({Axis::kPipeline}, "pipeline"));
  EISBACH_ASSIGN_OR_RETURN(context->model_,
                           group({Axis::kPipeline, Axis::kTensor}, "model"));
  const int stages = mesh.size(Axis::kPipeline);
  if (stages > 1) {
    EISBACH_ASSIGN_OR_RETURN(
        context->tied_,
        ranks.Subgroup(mesh.StageGroup(world.rank(), {0, stages - 1}), "tied"));
  }
  return context;
}

}  // namespace eisbach::parallel
