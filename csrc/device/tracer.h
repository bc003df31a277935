#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach {

class Stream;
class Timestamp;

enum class SpanKind : uint8_t {
  kOp,          // a kernel
  kCollective,  // from when it is first driven until this rank is done with it
  kWait,        // the host does nothing but wait for communication
  kAction,      // an entry of a pipeline stage's list
  kStep,
};

inline constexpr int kNumSpanKinds = 5;

absl::string_view Name(SpanKind kind);

// What totals tell apart among ops.
enum class OpClass : uint8_t { kOther, kMatmul, kAttention };

inline constexpr int kNumOpClasses = 3;

// What a span is about. The views live until the span has ended.
struct SpanLabel {
  SpanKind kind;
  absl::string_view name;    // "matmul", "all_reduce", "F3", "step 7"
  absl::string_view detail;  // group of a collective and of a wait for it
  OpClass op_class = OpClass::kOther;
  double flops = 0;
  double bytes = 0;    // read and written by an op, moved by a collective
  int64_t index = -1;  // micro-batch of an action, number of a step
};

// A span that was recorded; times are Tracer::Now().
struct Span {
  SpanKind kind = SpanKind::kOp;
  std::string name;
  std::string detail;
  OpClass op_class = OpClass::kOther;
  double flops = 0;
  double bytes = 0;
  int64_t index = -1;
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
};

// Seconds since the device was made.
struct TraceTotals {
  double matmul = 0;
  double attention = 0;
  double other_ops = 0;
  double collectives = 0;  // those of several groups may run at once
  double waiting = 0;      // exposed communication
};

// Where a rank's time goes. Totals are always kept, at the cost of reading the
// clock twice a span; the spans themselves while recording. Of streams that run
// behind the host (GPUs) there are spans alone: the totals of their ops are 0.
// Thread-safe.
class Tracer {
 public:
  using Stamp = absl::StatusOr<std::shared_ptr<Timestamp>>;

  // Nanoseconds of the host's monotonic clock, which all its processes share.
  static int64_t Now();

  void Add(const SpanLabel& label, int64_t begin_ns, int64_t end_ns);
  // A span of a stream, whose times are read when the recording stops. Lost
  // where nothing is recorded or a stamp is null.
  void AddBehind(const SpanLabel& label, Stamp begin, Stamp end);
  TraceTotals totals() const;
  int64_t waited_ns() const {
    return kind_ns_[static_cast<int>(SpanKind::kWait)].load(
        std::memory_order_relaxed);
  }

  bool recording() const { return recording_.load(std::memory_order_relaxed); }
  // Forgets earlier spans and keeps those that begin from now on.
  void StartRecording();
  // Spans that have ended since then, by begin; of those that begin together
  // the longest first, so that what encloses comes before what is inside. Waits
  // for streams whose spans it has; an error is one of theirs.
  absl::StatusOr<std::vector<Span>> StopRecording();

 private:
  struct Behind {
    Span span;
    Stamp begin, end;
  };

  std::atomic<int64_t> kind_ns_[kNumSpanKinds] = {};
  std::atomic<int64_t> op_ns_[kNumOpClasses] = {};
  std::atomic<bool> recording_{false};
  std::mutex mutex_;
  int64_t started_ns_ = 0;
  std::vector<Span> spans_;
  std::vector<Behind> behind_;
};

// A span for the life of the object.
//
// What is given to a stream names it. On a stream that runs inline the host's
// clock tells what it takes; on others, while recording, the stream does.
class TraceSpan {
 public:
  TraceSpan(Tracer& tracer, const SpanLabel& label)
      : tracer_(&tracer), label_(label), begin_ns_(Tracer::Now()) {}
  TraceSpan(Stream& stream, const SpanLabel& label);
  ~TraceSpan() {
    if (tracer_ == nullptr) return;
    if (behind_ != nullptr) {
      EndBehind();
    } else {
      tracer_->Add(label_, begin_ns_, Tracer::Now());
    }
  }
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  void EndBehind();

  Tracer* tracer_ = nullptr;  // null: not traced
  Stream* behind_ = nullptr;  // null: the host's clock tells
  const SpanLabel label_;
  int64_t begin_ns_ = 0;
  Tracer::Stamp begin_ = nullptr;
};

}  // namespace eisbach
