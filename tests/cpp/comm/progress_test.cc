#include "comm/progress.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "core/status_macros.h"
#include "device/device.h"

namespace eisbach::comm::progress_test {
namespace {

// Done when `gate` opens; then adds its number to `order`.
class GatedTask final : public Task {
 public:
  GatedTask(std::atomic<bool>* gate, int number, std::vector<int>* order)
      : gate_(gate), number_(number), order_(order) {}
  absl::StatusOr<Step> Poll() override {
    if (gate_ != nullptr && !*gate_) return Step::kIdle;
    order_->push_back(number_);
    return Step::kDone;
  }

 private:
  std::atomic<bool>* gate_;
  int number_;
  std::vector<int>* order_;
};

// Done as soon as the thread that made it drives it, and not before.
class OwnTask final : public Task {
 public:
  absl::StatusOr<Step> Poll() override {
    return std::this_thread::get_id() == maker_ ? Step::kDone : Step::kIdle;
  }

 private:
  const std::thread::id maker_ = std::this_thread::get_id();
};

class FailingTask final : public Task {
 public:
  absl::StatusOr<Step> Poll() override { return absl::DataLossError("lost"); }
};

class ProgressTest : public testing::TestWithParam<bool> {
 protected:
  ProgressTest()
      : device_(*MakeDevice(DeviceType::kCpu)),
        stream_(*device_->NewStream()),
        other_stream_(*device_->NewStream()),
        progress_(std::make_shared<Progress>(0, GetParam())) {}
  ~ProgressTest() override { progress_->Stop(); }

  std::unique_ptr<Task> Gated(std::atomic<bool>* gate, int number) {
    return std::make_unique<GatedTask>(gate, number, &order_);
  }

  std::shared_ptr<Device> device_;
  std::unique_ptr<Stream> stream_, other_stream_;
  std::shared_ptr<Progress> progress_;
  std::vector<int> order_;
};

TEST_P(ProgressTest, AQueueKeepsItsOrder) {
  std::atomic<bool> gate{false};
  TaskQueue queue(progress_, "q", device_->tracer());
  ASSERT_TRUE(queue.Submit(Gated(&gate, 1), *stream_).ok());
  ASSERT_TRUE(queue.Submit(Gated(nullptr, 2), *other_stream_).ok());
  absl::SleepFor(absl::Milliseconds(5));
  EXPECT_FALSE(other_stream_->Record()->Done());
  gate = true;
  progress_->bell().Ring();
  EXPECT_TRUE(other_stream_->Synchronize().ok());
  EXPECT_EQ(order_, (std::vector<int>{1, 2}));
}

TEST_P(ProgressTest, QueuesDoNotHoldEachOtherUp) {
  std::atomic<bool> gate{false};
  TaskQueue blocked(progress_, "blocked", device_->tracer()),
      free(progress_, "free", device_->tracer());
  ASSERT_TRUE(blocked.Submit(Gated(&gate, 1), *stream_).ok());
  // Inline: driven by this thread, past the blocked queue.
  ASSERT_TRUE(free.Submit(Gated(nullptr, 2), device_->compute_stream()).ok());
  // Deferred: driven by the progress thread.
  ASSERT_TRUE(free.Submit(Gated(nullptr, 3), *other_stream_).ok());
  EXPECT_TRUE(other_stream_->Synchronize().ok());
  EXPECT_EQ(order_, (std::vector<int>{2, 3}));
  gate = true;
  progress_->bell().Ring();
  EXPECT_TRUE(stream_->Synchronize().ok());
}

TEST_P(ProgressTest, ATaskStartsAfterWhatItsStreamWaitsFor) {
  std::atomic<bool> gate{false};
  TaskQueue first(progress_, "first", device_->tracer()),
      second(progress_, "second", device_->tracer());
  ASSERT_TRUE(first.Submit(Gated(&gate, 1), *stream_).ok());
  ASSERT_TRUE(other_stream_->Wait(*stream_->Record()).ok());
  ASSERT_TRUE(second.Submit(Gated(nullptr, 2), *other_stream_).ok());
  std::thread opener([&] {
    absl::SleepFor(absl::Milliseconds(5));
    gate = true;
    progress_->bell().Ring();
  });
  EXPECT_TRUE(other_stream_->Synchronize().ok());
  opener.join();
  EXPECT_EQ(order_, (std::vector<int>{1, 2}));
}

TEST_P(ProgressTest, AnErrorComesOutOfTheEventAndStays) {
  TaskQueue queue(progress_, "q", device_->tracer()),
      other(progress_, "other", device_->tracer());
  std::atomic<bool> gate{false};
  ASSERT_TRUE(queue.Submit(Gated(&gate, 1), *stream_).ok());
  ASSERT_TRUE(
      queue.Submit(std::make_unique<FailingTask>(), *other_stream_).ok());
  ASSERT_TRUE(queue.Submit(Gated(nullptr, 2), *stream_).ok());
  gate = true;
  progress_->bell().Ring();
  EXPECT_TRUE(absl::IsDataLoss(other_stream_->Synchronize()));
  EXPECT_TRUE(absl::IsDataLoss(stream_->Synchronize()));
  EXPECT_TRUE(absl::IsDataLoss(queue.Run(Gated(nullptr, 3))));
  EXPECT_TRUE(other.Run(Gated(nullptr, 4)).ok());
  EXPECT_EQ(order_, (std::vector<int>{1, 4}));
}

TEST_P(ProgressTest, SeveralThreadsMayWait) {
  std::atomic<bool> gate{false};
  TaskQueue queue(progress_, "q", device_->tracer());
  ASSERT_TRUE(queue.Submit(Gated(&gate, 1), *stream_).ok());
  const Event event = *stream_->Record();
  std::vector<std::thread> waiters;
  std::atomic<int> released{0};
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&] {
      EXPECT_TRUE(event.Wait().ok());
      ++released;
    });
  }
  absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(released, 0);
  gate = true;
  progress_->bell().Ring();
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(released, 4);
}

TEST_P(ProgressTest, WhatAThreadWaitsForIsTracedOnce) {
  Tracer& tracer = device_->tracer();
  TaskQueue queue(progress_, "q", tracer);
  tracer.StartRecording();
  auto task = std::make_unique<OwnTask>();
  task->set_label({.name = "all_reduce", .bytes = 12});
  ASSERT_TRUE(queue.Submit(std::move(task), *stream_).ok());
  const Event event = *stream_->Record();
  EXPECT_TRUE(event.Wait().ok());
  // It is done now: nobody waits any more.
  EXPECT_TRUE(event.Wait().ok());
  EXPECT_TRUE(stream_->Synchronize().ok());
  std::vector<Span> waits, collectives;
  for (const Span& span : test::Value(tracer.StopRecording())) {
    (span.kind == SpanKind::kWait ? waits : collectives).push_back(span);
  }
  ASSERT_EQ(waits.size(), 1);
  ASSERT_EQ(collectives.size(), 1);
  EXPECT_EQ(waits[0].name, "all_reduce");
  EXPECT_EQ(waits[0].detail, "q");
  EXPECT_EQ(collectives[0].kind, SpanKind::kCollective);
  EXPECT_EQ(collectives[0].name, "all_reduce");
  EXPECT_EQ(collectives[0].detail, "q");
  EXPECT_EQ(collectives[0].bytes, 12);
  EXPECT_NEAR(tracer.totals().waiting,
              (waits[0].end_ns - waits[0].begin_ns) * 1e-9, 1e-12);
}

TEST_P(ProgressTest, ATaskIsTracedFromWhenItsQueueComesToIt) {
  Tracer& tracer = device_->tracer();
  TaskQueue queue(progress_, "q", tracer);
  tracer.StartRecording();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(queue.Submit(std::make_unique<OwnTask>(), *stream_).ok());
  }
  EXPECT_TRUE(stream_->Synchronize().ok());
  int64_t last_end = 0;
  int traced = 0;
  for (const Span& span : test::Value(tracer.StopRecording())) {
    if (span.kind != SpanKind::kCollective) continue;
    EXPECT_GE(span.begin_ns, last_end);
    last_end = span.end_ns;
    ++traced;
  }
  EXPECT_EQ(traced, 3);
}

TEST_P(ProgressTest, AnEndedWorldRefusesWork) {
  TaskQueue queue(progress_, "q", device_->tracer());
  std::atomic<bool> gate{false};
  ASSERT_TRUE(queue.Submit(Gated(&gate, 1), *stream_).ok());
  progress_->Stop();
  EXPECT_TRUE(absl::IsCancelled(stream_->Synchronize()));
  EXPECT_FALSE(queue.Run(Gated(nullptr, 2)).ok());
  TaskQueue late(progress_, "late", device_->tracer());
  const absl::Status status = late.Run(Gated(nullptr, 3));
  EXPECT_TRUE(absl::StrContains(status.message(), "\"late\"")) << status;
}

INSTANTIATE_TEST_SUITE_P(RungAndPolled, ProgressTest, testing::Bool());

}  // namespace
}  // namespace eisbach::comm::progress_test
