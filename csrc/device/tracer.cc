#include "device/tracer.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "core/status_macros.h"
#include "device/device.h"

namespace eisbach {
namespace {

// A vector that grows moves what it holds, and that takes time in some span.
constexpr size_t kFirstSpans = 1 << 16;

Span SpanOf(const SpanLabel& label, int64_t begin_ns, int64_t end_ns) {
  return {.kind = label.kind,
          .name = std::string(label.name),
          .detail = std::string(label.detail),
          .op_class = label.op_class,
          .flops = label.flops,
          .bytes = label.bytes,
          .index = label.index,
          .begin_ns = begin_ns,
          .end_ns = end_ns};
}

}  // namespace

absl::string_view Name(SpanKind kind) {
  switch (kind) {
    case SpanKind::kOp:
      return "op";
    case SpanKind::kCollective:
      return "collective";
    case SpanKind::kWait:
      return "wait";
    case SpanKind::kAction:
      return "action";
    case SpanKind::kStep:
      return "step";
  }
  return "?";
}

int64_t Tracer::Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void Tracer::Add(const SpanLabel& label, int64_t begin_ns, int64_t end_ns) {
  const int64_t spent = end_ns - begin_ns;
  if (label.kind == SpanKind::kOp) {
    op_ns_[static_cast<int>(label.op_class)].fetch_add(
        spent, std::memory_order_relaxed);
  } else {
    kind_ns_[static_cast<int>(label.kind)].fetch_add(spent,
                                                     std::memory_order_relaxed);
  }
  if (!recording()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (begin_ns < started_ns_) return;
  spans_.push_back(SpanOf(label, begin_ns, end_ns));
}

void Tracer::AddBehind(const SpanLabel& label, Stamp begin, Stamp end) {
  const auto missing = [](const Stamp& stamp) {
    return stamp.ok() && *stamp == nullptr;
  };
  if (!recording() || missing(begin) || missing(end)) return;
  std::lock_guard<std::mutex> lock(mutex_);
  behind_.push_back({SpanOf(label, 0, 0), std::move(begin), std::move(end)});
}

TraceTotals Tracer::totals() const {
  const auto seconds = [](const std::atomic<int64_t>& ns) {
    return static_cast<double>(ns.load(std::memory_order_relaxed)) * 1e-9;
  };
  const auto of_class = [&](OpClass op_class) {
    return seconds(op_ns_[static_cast<int>(op_class)]);
  };
  const auto of_kind = [&](SpanKind kind) {
    return seconds(kind_ns_[static_cast<int>(kind)]);
  };
  return {.matmul = of_class(OpClass::kMatmul),
          .attention = of_class(OpClass::kAttention),
          .other_ops = of_class(OpClass::kOther),
          .collectives = of_kind(SpanKind::kCollective),
          .waiting = of_kind(SpanKind::kWait)};
}

void Tracer::StartRecording() {
  std::lock_guard<std::mutex> lock(mutex_);
  spans_.clear();
  spans_.reserve(kFirstSpans);
  behind_.clear();
  started_ns_ = Now();
  recording_.store(true, std::memory_order_relaxed);
}

absl::StatusOr<std::vector<Span>> Tracer::StopRecording() {
  std::lock_guard<std::mutex> lock(mutex_);
  recording_.store(false, std::memory_order_relaxed);
  std::vector<Span> spans = std::exchange(spans_, {});
  for (Behind& one : std::exchange(behind_, {})) {
    EISBACH_RETURN_IF_ERROR(one.begin.status());
    EISBACH_RETURN_IF_ERROR(one.end.status());
    EISBACH_ASSIGN_OR_RETURN(one.span.begin_ns, (*one.begin)->Nanoseconds());
    EISBACH_ASSIGN_OR_RETURN(one.span.end_ns, (*one.end)->Nanoseconds());
    spans.push_back(std::move(one.span));
  }
  std::stable_sort(spans.begin(), spans.end(),
                   [](const Span& a, const Span& b) {
                     return std::make_tuple(a.begin_ns, -a.end_ns) <
                            std::make_tuple(b.begin_ns, -b.end_ns);
                   });
  return spans;
}

TraceSpan::TraceSpan(Stream& stream, const SpanLabel& label) : label_(label) {
  Tracer& tracer = stream.device().tracer();
  if (stream.runs_inline()) {
    tracer_ = &tracer;
    begin_ns_ = Tracer::Now();
  } else if (tracer.recording()) {
    tracer_ = &tracer;
    behind_ = &stream;
    begin_ = stream.Stamp();
  }
}

void TraceSpan::EndBehind() {
  tracer_->AddBehind(label_, std::move(begin_), behind_->Stamp());
}

}  // namespace eisbach
