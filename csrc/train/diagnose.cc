#include "train/diagnose.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/ids.h"
#include "ops/reduce.h"

namespace eisbach::train {
namespace {

// What ranks tell one another.
struct Report {
  int32_t phase;
  char what[252];
};

// The reports of all ranks. Collective.
absl::StatusOr<std::vector<Report>> GatherReports(
    Observations::Phase phase, absl::string_view what,
    const parallel::ParallelContext& context) {
  Device& device = context.device();
  Stream& stream = device.compute_stream();
  comm::Communicator& world = context.world().communicator();
  Report mine{static_cast<int32_t>(phase), {}};
  what.copy(mine.what, sizeof(mine.what) - 1);
  const int64_t bytes = sizeof(Report);
  EISBACH_ASSIGN_OR_RETURN(Tensor in,
                           Tensor::Empty(Shape{bytes}, DType::kU8, device));
  EISBACH_ASSIGN_OR_RETURN(
      Tensor out,
      Tensor::Empty(Shape{world.size() * bytes}, DType::kU8, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(in.raw(), &mine, sizeof(mine), stream));
  EISBACH_RETURN_IF_ERROR(world.AllGather(in, out, stream));
  std::vector<Report> reports(world.size());
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(reports.data(), out.raw(), out.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return reports;
}

}  // namespace

absl::Status Observations::Check(Phase phase, absl::string_view what,
                                 const Tensor& tensor) {
  if (phase_ != Phase::kNothing || !IsFloat(tensor.dtype()) ||
      tensor.dtype() == DType::kF64) {
    return absl::OkStatus();
  }
  Stream& stream = device_.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(Tensor count,
                           Tensor::Empty(Shape{1}, DType::kI64, device_));
  EISBACH_RETURN_IF_ERROR(ops::CountNonFinite(tensor, count, stream));
  int64_t bad = 0;
  EISBACH_RETURN_IF_ERROR(
      device_.CopyToHost(&bad, count.raw(), sizeof(bad), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  if (bad == 0) return absl::OkStatus();
  phase_ = phase;
  what_ =
      absl::StrCat(what, " (", bad, " of ", tensor.elements(), " elements)");
  return absl::OkStatus();
}

absl::Status Observations::CheckParameters(
    absl::Span<Parameter* const> parameters) {
  for (Parameter* parameter : parameters) {
    EISBACH_RETURN_IF_ERROR(
        Check(Phase::kParameter,
              absl::StrCat("the parameter ", parameter->spec().name),
              parameter->master()));
  }
  return absl::OkStatus();
}

absl::Status Observations::OnForward(absl::string_view node,
                                     const Tensor& output) {
  const bool layer = absl::string_view::npos != node.find('.');
  if (layer) last_layer_ = std::string(node);
  return Check(
      Phase::kForward,
      layer ? absl::StrCat("the output of ", node)
            : absl::StrCat("the output of ", node, " after ", last_layer_),
      output);
}

absl::Status Observations::OnBackward(absl::string_view node,
                                      const Tensor& gradient) {
  return Check(Phase::kBackward,
               absl::StrCat("the gradient of the output of ", node), gradient);
}

absl::Status CheckInputIds(const Tensor& tokens, const Tensor& targets,
                           int64_t vocab, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(
      ops::ReadAndCheckIds(ops::IdKind::kToken, tokens, vocab, stream));
  return ops::ReadAndCheckIds(ops::IdKind::kTarget, targets, vocab, stream);
}

absl::Status ExplainIds(const Tensor& tokens, const Tensor& targets,
                        int64_t vocab,
                        const parallel::ParallelContext& context) {
  const absl::Status ids =
      CheckInputIds(tokens, targets, vocab, context.device().compute_stream());
  using Phase = Observations::Phase;
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<Report> reports,
      GatherReports(ids.ok() ? Phase::kNothing : Phase::kParameter,
                    ids.message(), context));
  for (size_t rank = 0; rank < reports.size(); ++rank) {
    if (reports[rank].phase == static_cast<int32_t>(Phase::kNothing)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank, ": ", reports[rank].what));
  }
  return absl::OkStatus();
}

absl::Status ExplainNonFinite(absl::string_view symptom,
                              const Observations& observations,
                              const parallel::ParallelContext& context) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<Report> reports,
      GatherReports(observations.phase(), observations.what(), context));
  // Values flow down the stages forward and up them backward.
  const auto order = [&](int rank) {
    const int phase = reports[rank].phase;
    const int stage = context.mesh().CoordinateOf(rank, Axis::kPipeline);
    const bool backward =
        phase == static_cast<int>(Observations::Phase::kBackward);
    return std::tuple(phase, backward ? -stage : stage, rank);
  };
  int first = 0;
  for (int rank = 1; rank < static_cast<int>(reports.size()); ++rank) {
    if (order(rank) < order(first)) first = rank;
  }
  if (reports[first].phase ==
      static_cast<int32_t>(Observations::Phase::kNothing)) {
    return absl::DataLossError(absl::StrCat(
        symptom,
        ", and no tensor of the step run again holds NaN or infinity: "
        "the sum over tensors overflows, or the machine computes unreliably"));
  }
  return absl::DataLossError(absl::StrCat(symptom, ": rank ", first,
                                          ": the first tensor with NaN or "
                                          "infinity is ",
                                          reports[first].what,
                                          "; weights are as before the step"));
}

}  // namespace eisbach::train
