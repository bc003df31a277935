#include "train/rank_trace.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "checkpoint/agree.h"
#include "core/status_macros.h"
#include "device/machine.h"
#include "train/clock_offset.h"

namespace eisbach::train {
namespace {

using Json = nlohmann::json;

std::string ToBytes(const RankTrace& trace) {
  Json spans = Json::array();
  for (const Span& s : trace.spans) {
    spans.push_back({static_cast<int>(s.kind), s.name, s.detail,
                     static_cast<int>(s.op_class), s.flops, s.bytes, s.index,
                     s.begin_ns, s.end_ns});
  }
  const Json all = {
      trace.host,           trace.clock_offset_ns, trace.clock_error_ns,
      trace.peak.f32_flops, trace.peak.bf16_flops, trace.peak.bytes,
      std::move(spans)};
  std::string bytes;
  Json::to_cbor(all, bytes);
  return bytes;
}

// Of bytes that ToBytes made.
absl::StatusOr<RankTrace> FromBytes(int rank, const std::string& bytes) {
  const Json all = Json::from_cbor(bytes, /*strict=*/true,
                                   /*allow_exceptions=*/false);
  if (!all.is_array()) {
    return absl::InternalError(
        absl::StrCat("the trace of rank ", rank, " arrived damaged"));
  }
  RankTrace trace;
  trace.rank = rank;
  trace.host = all[0].get<std::string>();
  trace.clock_offset_ns = all[1].get<int64_t>();
  trace.clock_error_ns = all[2].get<int64_t>();
  trace.peak = {.f32_flops = all[3].get<double>(),
                .bf16_flops = all[4].get<double>(),
                .bytes = all[5].get<double>()};
  trace.spans.reserve(all[6].size());
  for (const Json& s : all[6]) {
    trace.spans.push_back({.kind = static_cast<SpanKind>(s[0].get<int>()),
                           .name = s[1].get<std::string>(),
                           .detail = s[2].get<std::string>(),
                           .op_class = static_cast<OpClass>(s[3].get<int>()),
                           .flops = s[4].get<double>(),
                           .bytes = s[5].get<double>(),
                           .index = s[6].get<int64_t>(),
                           .begin_ns = s[7].get<int64_t>(),
                           .end_ns = s[8].get<int64_t>()});
  }
  return trace;
}

// Rank `from`'s bytes on rank 0; both call it.
absl::StatusOr<std::string> Pass(std::string bytes, int64_t size, int from,
                                 comm::Communicator& group) {
  Device& device = group.device();
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(const Tensor tensor,
                           Tensor::Empty(Shape{size}, DType::kU8, device));
  const bool sends = group.rank() == from;
  if (sends) {
    EISBACH_RETURN_IF_ERROR(
        device.CopyToDevice(tensor.raw(), bytes.data(), size, stream));
  }
  const comm::Transfer transfer{
      sends ? comm::Transfer::Kind::kSend : comm::Transfer::Kind::kReceive,
      sends ? 0 : from, tensor};
  EISBACH_RETURN_IF_ERROR(group.Exchange({&transfer, 1}, stream));
  bytes.resize(size);
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(bytes.data(), tensor.raw(), size, stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return bytes;
}

}  // namespace

absl::StatusOr<std::vector<RankTrace>> GatherTraces(const Peak& peak,
                                                    comm::Communicator& group) {
  Device& device = group.device();
  EISBACH_RETURN_IF_ERROR(group.Barrier(device.compute_stream()));
  EISBACH_RETURN_IF_ERROR(device.compute_stream().Synchronize());
  EISBACH_ASSIGN_OR_RETURN(std::vector<Span> spans,
                           device.tracer().StopRecording());
  EISBACH_ASSIGN_OR_RETURN(const ClockOffset offset, MeasureClockOffset(group));
  for (Span& span : spans) {
    span.begin_ns -= offset.ns;
    span.end_ns -= offset.ns;
  }
  RankTrace mine{.rank = group.rank(),
                 .host = HostName(),
                 .clock_offset_ns = offset.ns,
                 .clock_error_ns = offset.error_ns,
                 .peak = peak,
                 .spans = std::move(spans)};
  const std::string bytes = group.rank() == 0 ? "" : ToBytes(mine);
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<std::string> sizes,
      checkpoint::GatherText(absl::StrCat(bytes.size()), group,
                             device.compute_stream()));
  std::vector<RankTrace> traces;
  if (group.rank() == 0) traces.push_back(std::move(mine));
  for (int from = 1; from < group.size(); ++from) {
    if (group.rank() != 0 && group.rank() != from) continue;
    int64_t size = 0;
    if (!absl::SimpleAtoi(sizes[from], &size)) {
      return absl::InternalError(absl::StrCat("rank ", from, " says its trace ",
                                              "has ", sizes[from], " bytes"));
    }
    EISBACH_ASSIGN_OR_RETURN(std::string passed,
                             Pass(bytes, size, from, group));
    if (group.rank() != 0) continue;
    EISBACH_ASSIGN_OR_RETURN(RankTrace theirs, FromBytes(from, passed));
    traces.push_back(std::move(theirs));
  }
  return traces;
}

}  // namespace eisbach::train
