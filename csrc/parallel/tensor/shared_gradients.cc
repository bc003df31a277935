#include "parallel/tensor/shared_gradients.h"

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::parallel {
namespace {

struct Piece {
  Tensor grad;    // this rank's elements of the slice, flat
  int64_t place;  // of its first element in the buffer
};

}  // namespace

absl::Status SumSharedGradients(absl::Span<Parameter* const> parameters,
                                comm::Communicator& group, Stream& stream,
                                comm::Communicator* division) {
  std::vector<Piece> pieces;
  absl::flat_hash_map<std::string, int64_t> begin;
  int64_t total = 0;
  for (Parameter* parameter : parameters) {
    const ParamSpec& spec = parameter->spec();
    if (!parameter->trains()) continue;
    for (const LogicalSlice& slice : spec.slices) {
      if (!slice.sum_over_tensor) continue;
      auto [it, added] = begin.try_emplace(slice.name, total);
      if (added) total += slice.shape.elements();
      // Shared slices are whole rows, so they are contiguous on both sides.
      const int64_t width = slice.shape.rank() > 1 ? slice.shape[1] : 1;
      const int64_t offset = SliceOffset(spec, slice);
      const ElementRange own = parameter->own();
      const ElementRange mine = Intersect({offset, SliceElements(slice)}, own);
      if (mine.elements == 0) continue;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor grad, parameter->reduced().Narrow(0, mine.begin - own.begin,
                                                   mine.elements));
      pieces.push_back(
          {grad, it->second + slice.start[0] * width + (mine.begin - offset)});
    }
  }
  if (total == 0 || group.size() == 1) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(Tensor buffer,
                           Tensor::Zeros(Shape{total}, DType::kF32, stream));
  const auto place = [&](const Piece& piece) {
    return buffer.Narrow(0, piece.place, piece.grad.elements());
  };
  for (const Piece& piece : pieces) {
    EISBACH_ASSIGN_OR_RETURN(Tensor to, place(piece));
    EISBACH_RETURN_IF_ERROR(ops::Copy(piece.grad, to, stream));
  }
  EISBACH_RETURN_IF_ERROR(
      group.AllReduce(buffer, comm::ReduceOp::kSum, stream));
  if (division != nullptr) {
    EISBACH_RETURN_IF_ERROR(
        division->AllReduce(buffer, comm::ReduceOp::kSum, stream));
  }
  for (const Piece& piece : pieces) {
    EISBACH_ASSIGN_OR_RETURN(Tensor from, place(piece));
    EISBACH_RETURN_IF_ERROR(ops::Copy(from, piece.grad, stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::parallel
