#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "absl/time/clock.h"
#include "cpp/comm/contract_collectives.h"
#include "device/tracer.h"

namespace eisbach::comm::contract {

inline std::vector<Span> OfKind(const std::vector<Span>& spans, SpanKind kind) {
  std::vector<Span> found;
  for (const Span& span : spans) {
    if (span.kind == kind) found.push_back(span);
  }
  return found;
}

// Each call leaves one span with its name, group and bytes. What an inline
// stream waits for is traced by the same name, and counted once.
inline absl::Status TracesCalls(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Communicator> other,
                           all.Split(0, all.rank(), "other"));
  EISBACH_ASSIGN_OR_RETURN(Tensor x,
                           Filled<float>(device, 1000, all.rank(), 50));
  EISBACH_ASSIGN_OR_RETURN(Tensor gathered,
                           Make<float>(device, 1000 * all.size()));
  const double before = device.tracer().totals().waiting;
  device.tracer().StartRecording();
  EISBACH_RETURN_IF_ERROR(all.AllReduce(x, ReduceOp::kSum, stream));
  EISBACH_RETURN_IF_ERROR(other->AllGather(x, gathered, stream));
  EISBACH_RETURN_IF_ERROR(other->Barrier(stream));
  const std::vector<Span> spans = test::Value(device.tracer().StopRecording());
  const double waited = device.tracer().totals().waiting - before;
  const std::vector<Span> calls = OfKind(spans, SpanKind::kCollective);
  const std::vector<Span> waits = OfKind(spans, SpanKind::kWait);
  if (all.size() == 1) {
    return ExpectTrue(spans.empty(), "no span where nothing moves");
  }
  EISBACH_RETURN_IF_ERROR(ExpectTrue(calls.size() == 3, "a span a call"));
  // The progress thread may be quicker now and then.
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue(!waits.empty() && waits.size() <= 3, "waits are traced"));
  const struct {
    absl::string_view name, group;
    double bytes;
  } expected[] = {{"all_reduce", "world", 4000},
                  {"all_gather", "other", 4000.0 * all.size()},
                  {"barrier", "other", 0}};
  for (int i = 0; i < 3; ++i) {
    EISBACH_RETURN_IF_ERROR(
        ExpectTrue(calls[i].name == expected[i].name &&
                       calls[i].detail == expected[i].group &&
                       calls[i].bytes == expected[i].bytes,
                   expected[i].name));
  }
  double seconds = 0;
  for (const Span& wait : waits) {
    seconds += static_cast<double>(wait.end_ns - wait.begin_ns) * 1e-9;
    int matching = 0;
    for (const Span& call : calls) {
      matching += call.name == wait.name && call.detail == wait.detail;
    }
    EISBACH_RETURN_IF_ERROR(ExpectTrue(matching == 1, "a wait names its call"));
  }
  return ExpectTrue(std::abs(waited - seconds) < 1e-9,
                    "a wait counts once in the totals");
}

// A call that is over before anybody asks was hidden: it has a span, and there
// is nothing to wait for.
inline absl::Status TracesNoWaitForWhatIsDone(World& world) {
  Communicator& all = world.communicator();
  Device& device = world.device();
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Stream> stream, device.NewStream());
  EISBACH_ASSIGN_OR_RETURN(Tensor x,
                           Filled<float>(device, 1000, all.rank(), 51));
  device.tracer().StartRecording();
  EISBACH_RETURN_IF_ERROR(all.AllReduce(x, ReduceOp::kSum, *stream));
  EISBACH_ASSIGN_OR_RETURN(const Event done, stream->Record());
  while (!done.Done()) absl::SleepFor(absl::Microseconds(100));
  EISBACH_RETURN_IF_ERROR(done.Wait());
  EISBACH_RETURN_IF_ERROR(stream->Synchronize());
  const std::vector<Span> spans = test::Value(device.tracer().StopRecording());
  EISBACH_RETURN_IF_ERROR(
      ExpectTrue(OfKind(spans, SpanKind::kWait).empty(), "no wait"));
  return ExpectTrue(spans.size() == (all.size() == 1 ? 0 : 1),
                    "the call is traced");
}

}  // namespace eisbach::comm::contract
