#include "parallel/context.h"

#include <string>

#include "core/status_macros.h"

namespace eisbach::parallel {

absl::StatusOr<std::unique_ptr<ParallelContext>> ParallelContext::Make(
    comm::World& world, const Mesh& mesh) {
  std::unique_ptr<ParallelContext> context(new ParallelContext(world, mesh));
  const auto split = [&](AxisSet axes, std::string name) {
    const SplitArguments arguments = mesh.GroupSplit(world.rank(), axes);
    return world.communicator().Split(arguments.color, arguments.key,
                                      std::move(name));
  };
  EISBACH_ASSIGN_OR_RETURN(context->tensor_, split({Axis::kTensor}, "tensor"));
  EISBACH_ASSIGN_OR_RETURN(context->data_,
                           split({Axis::kData, Axis::kContext}, "data"));
  EISBACH_ASSIGN_OR_RETURN(context->pipeline_,
                           split({Axis::kPipeline}, "pipeline"));
  EISBACH_ASSIGN_OR_RETURN(context->model_,
                           split({Axis::kPipeline, Axis::kTensor}, "model"));
  const int stages = mesh.size(Axis::kPipeline);
  if (stages > 1) {
    const SplitArguments arguments =
        mesh.StageSplit(world.rank(), {0, stages - 1});
    EISBACH_ASSIGN_OR_RETURN(
        context->tied_,
        world.communicator().Split(arguments.color, arguments.key, "tied"));
  }
  return context;
}

}  // namespace eisbach::parallel
