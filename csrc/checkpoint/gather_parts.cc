#include "checkpoint/gather_parts.h"

#include <utility>
#include <vector>

#include "core/status_macros.h"
#include "ops/elementwise.h"

namespace eisbach::checkpoint {
namespace {

using comm::Transfer;

absl::Status SendPart(const Parameter& parameter, const ElementRange& wanted,
                      const Tensor& own, comm::Communicator& data,
                      Stream& stream) {
  const ElementRange mine = Intersect(wanted, parameter.own());
  if (mine.elements == 0) return absl::OkStatus();
  EISBACH_ASSIGN_OR_RETURN(
      Tensor part,
      own.Narrow(0, mine.begin - parameter.own().begin, mine.elements));
  EISBACH_RETURN_IF_ERROR(
      data.Exchange({{Transfer::Kind::kSend, 0, std::move(part)}}, stream));
  return stream.Synchronize();
}

}  // namespace

absl::StatusOr<Tensor> GatherParts(const Parameter& parameter,
                                   const ElementRange& wanted,
                                   const Tensor& own, comm::Communicator& data,
                                   Stream& stream) {
  const ParameterDivision& division = parameter.division();
  if (division.part != 0) {
    EISBACH_RETURN_IF_ERROR(SendPart(parameter, wanted, own, data, stream));
    return Tensor();
  }
  EISBACH_ASSIGN_OR_RETURN(
      Tensor whole,
      Tensor::Empty(Shape{wanted.elements}, own.dtype(), stream.device()));
  std::vector<Transfer> transfers;
  for (int part = 0; part < division.parts; ++part) {
    const ElementRange theirs = Intersect(wanted, parameter.PartOf(part));
    if (theirs.elements == 0) continue;
    EISBACH_ASSIGN_OR_RETURN(
        Tensor place,
        whole.Narrow(0, theirs.begin - wanted.begin, theirs.elements));
    if (part > 0) {
      transfers.push_back({Transfer::Kind::kReceive, part, std::move(place)});
      continue;
    }
    EISBACH_ASSIGN_OR_RETURN(
        Tensor mine,
        own.Narrow(0, theirs.begin - parameter.own().begin, theirs.elements));
    EISBACH_RETURN_IF_ERROR(ops::Copy(mine, place, stream));
  }
  if (!transfers.empty()) {
    EISBACH_RETURN_IF_ERROR(data.Exchange(transfers, stream));
  }
  return whole;
}

}  // namespace eisbach::checkpoint
