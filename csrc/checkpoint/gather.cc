#include "checkpoint/gather.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "checkpoint/agree.h"
#include "checkpoint/box.h"
#include "checkpoint/gather_parts.h"
#include "checkpoint/gather_plan.h"
#include "core/status_macros.h"
#include "ops/elementwise.h"
#include "tensor/host_values.h"

namespace eisbach::checkpoint {
namespace {

// The elements of a slice, f32, as a flat view of the parameter's tensor or a
// copy of what is divided or not f32. On the first rank of data x context; the
// others that divide it get an undefined tensor.
absl::StatusOr<Tensor> SliceValues(const LocalPiece& piece,
                                   ParameterValue value,
                                   const parallel::ParallelContext& context) {
  Stream& stream = context.device().compute_stream();
  const Tensor& local = value == ParameterValue::kMaster
                            ? piece.parameter->master()
                            : piece.parameter->reduced();
  const ElementRange slice{SliceOffset(piece.parameter->spec(), *piece.slice),
                           SliceElements(*piece.slice)};
  Tensor view;
  if (piece.parameter->divided()) {
    EISBACH_ASSIGN_OR_RETURN(view, GatherParts(*piece.parameter, slice, local,
                                               context.data(), stream));
    if (!view.defined()) return view;
  } else {
    EISBACH_ASSIGN_OR_RETURN(Tensor flat, local.View(Shape{local.elements()}));
    EISBACH_ASSIGN_OR_RETURN(view, flat.Narrow(0, slice.begin, slice.elements));
  }
  if (view.dtype() == DType::kF32) return view;
  EISBACH_ASSIGN_OR_RETURN(
      Tensor values, Tensor::Empty(view.shape(), DType::kF32, stream.device()));
  EISBACH_RETURN_IF_ERROR(ops::Copy(view, values, stream));
  return values;
}

// Those that have the value.
std::vector<Parameter*> With(absl::Span<Parameter* const> parameters,
                             ParameterValue value) {
  std::vector<Parameter*> with;
  for (Parameter* parameter : parameters) {
    if (value == ParameterValue::kMaster || parameter->trains()) {
      with.push_back(parameter);
    }
  }
  return with;
}

// The ranks of the model group by stage, then by tensor index, whatever the
// order of the mesh's axes.
std::vector<int> StageOrder(const parallel::ParallelContext& context) {
  const parallel::Mesh& mesh = context.mesh();
  const std::vector<int> world =
      mesh.Group(context.world().rank(), {Axis::kPipeline, Axis::kTensor});
  std::vector<int> order(world.size());
  std::iota(order.begin(), order.end(), 0);
  const auto key = [&](int rank) {
    return std::pair(mesh.CoordinateOf(world[rank], Axis::kPipeline),
                     mesh.CoordinateOf(world[rank], Axis::kTensor));
  };
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return key(a) < key(b); });
  return order;
}

// How the model group puts its tensors together from the pieces of its ranks.
// Collective over it.
absl::StatusOr<std::vector<GatherTensor>> PlanOf(
    absl::Span<const LocalPiece> pieces,
    const parallel::ParallelContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> descriptions,
                           GatherText(DescribePieces(pieces), context.model(),
                                      context.device().compute_stream()));
  return MakeGatherPlan(descriptions, StageOrder(context));
}

// One rank's part in gathering within the group that holds the model once.
class Gatherer {
 public:
  Gatherer(std::vector<LocalPiece> pieces, ParameterValue value,
           const parallel::ParallelContext& context)
      : pieces_(std::move(pieces)),
        value_(value),
        context_(context),
        group_(context.model()),
        stream_(context.device().compute_stream()) {}

  // Of a rank that is not the first of its data x context group.
  absl::Status SendParts(const GatherTensor& tensor) {
    for (const GatherPiece& piece : tensor.pieces) {
      if (piece.rank != group_.rank() ||
          !pieces_[piece.index].parameter->divided()) {
        continue;
      }
      EISBACH_RETURN_IF_ERROR(
          SliceValues(pieces_[piece.index], value_, context_).status());
    }
    return absl::OkStatus();
  }

  absl::Status Send(const GatherTensor& tensor) {
    std::vector<comm::Transfer> transfers;
    for (const GatherPiece& piece : tensor.pieces) {
      if (piece.rank != group_.rank()) continue;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor view, SliceValues(pieces_[piece.index], value_, context_));
      transfers.push_back({comm::Transfer::Kind::kSend, 0, std::move(view)});
    }
    if (transfers.empty()) return absl::OkStatus();
    EISBACH_RETURN_IF_ERROR(group_.Exchange(transfers, stream_));
    return stream_.Synchronize();
  }

  absl::StatusOr<LogicalView> Receive(const GatherTensor& tensor) {
    std::vector<Tensor> parts;
    std::vector<comm::Transfer> transfers;
    for (const GatherPiece& piece : tensor.pieces) {
      if (piece.rank == group_.rank()) {
        EISBACH_ASSIGN_OR_RETURN(
            Tensor view, SliceValues(pieces_[piece.index], value_, context_));
        parts.push_back(std::move(view));
        continue;
      }
      EISBACH_ASSIGN_OR_RETURN(Tensor staging,
                               Tensor::Empty(Shape{piece.box.elements()},
                                             DType::kF32, stream_.device()));
      transfers.push_back(
          {comm::Transfer::Kind::kReceive, piece.rank, staging});
      parts.push_back(std::move(staging));
    }
    if (!transfers.empty()) {
      EISBACH_RETURN_IF_ERROR(group_.Exchange(transfers, stream_));
    }
    if (parts.size() == 1 && parts[0].elements() == tensor.shape.elements() &&
        stream_.device().type() == DeviceType::kCpu) {
      EISBACH_RETURN_IF_ERROR(stream_.Synchronize());
      return LogicalView{
          tensor.name, tensor.shape,
          absl::MakeConstSpan(parts[0].data<float>(), parts[0].elements()),
          parts[0].storage()};
    }
    return Assemble(tensor, parts);
  }

 private:
  absl::StatusOr<LogicalView> Assemble(const GatherTensor& tensor,
                                       absl::Span<const Tensor> parts) {
    auto whole = std::make_shared<std::vector<float>>(tensor.shape.elements());
    std::vector<float> host;
    for (size_t i = 0; i < parts.size(); ++i) {
      host.resize(parts[i].elements());
      EISBACH_RETURN_IF_ERROR(stream_.device().CopyToHost(
          host.data(), parts[i].raw(), parts[i].bytes(), stream_));
      EISBACH_RETURN_IF_ERROR(stream_.Synchronize());
      const Box& box = tensor.pieces[i].box;
      CopyBox(box, box, host.data(), WholeBox(tensor.shape), whole->data());
    }
    const absl::Span<const float> values = *whole;
    return LogicalView{tensor.name, tensor.shape, values, std::move(whole)};
  }

  const std::vector<LocalPiece> pieces_;
  const ParameterValue value_;
  const parallel::ParallelContext& context_;
  comm::Communicator& group_;
  Stream& stream_;
};

// How many ranks of data x context divide parameters.
int PartsOf(absl::Span<Parameter* const> parameters) {
  int parts = 1;
  for (const Parameter* parameter : parameters) {
    parts = std::max(parts, parameter->division().parts);
  }
  return parts;
}

// Within the model group of a data index: that of the first gathers, the others
// give it what it does not have.
absl::Status GatherModel(absl::Span<Parameter* const> parameters,
                         ParameterValue value,
                         const parallel::ParallelContext& context,
                         const LogicalVisitor& visit) {
  std::vector<LocalPiece> pieces = PrimaryPieces(With(parameters, value));
  EISBACH_ASSIGN_OR_RETURN(const std::vector<GatherTensor> plan,
                           PlanOf(pieces, context));
  Gatherer gatherer(std::move(pieces), value, context);
  // After an error of `visit` the rest is still received: others send it.
  absl::Status visited;
  for (const GatherTensor& tensor : plan) {
    if (context.data().rank() != 0) {
      EISBACH_RETURN_IF_ERROR(gatherer.SendParts(tensor));
      continue;
    }
    if (context.model().rank() != 0) {
      EISBACH_RETURN_IF_ERROR(gatherer.Send(tensor));
      continue;
    }
    EISBACH_ASSIGN_OR_RETURN(LogicalView whole, gatherer.Receive(tensor));
    if (visited.ok()) visited = visit(whole);
  }
  return visited;
}

// Fills `local` (the whole local tensor) from logical tensors.
absl::Status FillLocal(const ParamSpec& spec, const LogicalLookup& find,
                       float* local) {
  for (const LogicalSlice& slice : spec.slices) {
    const LogicalTensor* whole = find(slice.name);
    if (whole == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat(
          "there is no tensor \"", slice.name, "\", which the model has"));
    }
    if (whole->shape != slice.shape ||
        static_cast<int64_t>(whole->values.size()) != slice.shape.elements()) {
      return absl::InvalidArgumentError(
          absl::StrCat("tensor \"", slice.name, "\" is ",
                       whole->shape.ToString(), " with ", whole->values.size(),
                       " values, the model's is ", slice.shape.ToString()));
    }
    const auto bad =
        std::find_if_not(whole->values.begin(), whole->values.end(),
                         [](float value) { return std::isfinite(value); });
    if (bad != whole->values.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "tensor \"", slice.name, "\" holds ", *bad, " at element ",
          bad - whole->values.begin(), "; weights are finite"));
    }
    const Box box = BoxOf(slice);
    if (box.elements() == 0) continue;
    CopyBox(box, WholeBox(slice.shape), whole->values.data(), box,
            local + SliceOffset(spec, slice));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status GatherParameters(absl::Span<Parameter* const> parameters,
                              ParameterValue value,
                              const parallel::ParallelContext& context,
                              const LogicalVisitor& visit) {
  if (context.device().type() == DeviceType::kMeta) {
    return absl::FailedPreconditionError("meta parameters have no values");
  }
  absl::Status gathered;
  if (context.data().rank() < PartsOf(parameters)) {
    gathered = GatherModel(parameters, value, context, visit);
  }
  return AgreeOnStatus(gathered, context.world().communicator(),
                       context.device().compute_stream());
}

absl::StatusOr<std::vector<LogicalTensor>> GatherParameters(
    absl::Span<Parameter* const> parameters, ParameterValue value,
    const parallel::ParallelContext& context) {
  std::vector<LogicalTensor> tensors;
  EISBACH_RETURN_IF_ERROR(GatherParameters(
      parameters, value, context, [&](const LogicalView& view) {
        tensors.push_back({std::string(view.name),
                           view.shape,
                           {view.values.begin(), view.values.end()}});
        return absl::OkStatus();
      }));
  return tensors;
}

absl::Status ScatterParameters(absl::Span<Parameter* const> parameters,
                               const LogicalLookup& find, Stream& stream) {
  if (stream.device().type() == DeviceType::kMeta) {
    return absl::FailedPreconditionError("meta parameters have no values");
  }
  std::vector<std::vector<float>> hosts;
  for (const Parameter* parameter : parameters) {
    hosts.emplace_back(parameter->spec().shape.elements(), 0.0f);
    EISBACH_RETURN_IF_ERROR(
        FillLocal(parameter->spec(), find, hosts.back().data()));
  }
  for (size_t i = 0; i < hosts.size(); ++i) {
    EISBACH_RETURN_IF_ERROR(
        WriteValues(hosts[i].data() + parameters[i]->own().begin,
                    parameters[i]->master(), stream));
  }
  return absl::OkStatus();
}

absl::Status CheckLogicalNames(absl::Span<Parameter* const> parameters,
                               absl::Span<const std::string> names,
                               const parallel::ParallelContext& context) {
  EISBACH_ASSIGN_OR_RETURN(const std::vector<GatherTensor> plan,
                           PlanOf(PrimaryPieces(parameters), context));
  absl::flat_hash_set<absl::string_view> known;
  for (const GatherTensor& tensor : plan) known.insert(tensor.name);
  std::vector<std::string> unknown;
  for (const std::string& name : names) {
    if (!known.contains(name)) unknown.push_back(name);
  }
  if (unknown.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the model has no tensor \"", unknown[0], "\"",
      unknown.size() == 1
          ? ""
          : absl::StrCat(" (nor ", unknown.size() - 1, " more of these)")));
}

}  // namespace eisbach::checkpoint
