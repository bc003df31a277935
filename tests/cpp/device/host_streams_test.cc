#include "device/host_streams.h"

#include "device/device.h"
#include "support/status_testing.h"

namespace eisbach::host_streams_test {
namespace {

class FakeWork final : public EventState {
 public:
  bool Done() override { return done; }
  absl::Status Wait() override {
    ++waits;
    done = true;
    return result;
  }

  bool done = false;
  int waits = 0;
  absl::Status result;
};

class HostStreamsTest : public ::testing::Test {
 protected:
  std::shared_ptr<Device> device_ = test::Value(MakeDevice(DeviceType::kCpu));
  std::shared_ptr<FakeWork> first_ = std::make_shared<FakeWork>();
  std::shared_ptr<FakeWork> second_ = std::make_shared<FakeWork>();
};

TEST_F(HostStreamsTest, AnInlineStreamWaitsAtOnce) {
  InlineStream stream(*device_);
  EISBACH_EXPECT_OK(stream.Wait(Event(first_)));
  EXPECT_EQ(first_->waits, 1);
  second_->result = absl::AbortedError("peer left");
  EXPECT_THAT(stream.Append(Event(second_)),
              test::StatusIs(absl::StatusCode::kAborted, "peer left"));
  EXPECT_TRUE(test::Value(stream.Record()).Done());
}

TEST_F(HostStreamsTest, ADeferredStreamOnlyRemembers) {
  DeferredStream stream(*device_);
  EISBACH_EXPECT_OK(stream.Wait(Event(first_)));
  EXPECT_EQ(stream.Dependencies().size(), 1);
  EXPECT_EQ(first_->waits, 0);
  const Event before = test::Value(stream.Record());
  EXPECT_FALSE(before.Done());
  // Work that was appended has waited for `first`, and stands for it.
  EISBACH_EXPECT_OK(stream.Append(Event(second_)));
  EXPECT_EQ(stream.Dependencies().size(), 1);
  first_->done = true;
  EXPECT_TRUE(before.Done());
  EXPECT_FALSE(test::Value(stream.Record()).Done());
  EISBACH_EXPECT_OK(stream.Synchronize());
  EXPECT_EQ(second_->waits, 1);
  EXPECT_TRUE(test::Value(stream.Record()).Done());
}

TEST_F(HostStreamsTest, AnEventStandsForAllThatCameBefore) {
  DeferredStream stream(*device_);
  EISBACH_EXPECT_OK(stream.Append(Event(first_)));
  EISBACH_EXPECT_OK(stream.Wait(Event(second_)));
  const Event both = test::Value(stream.Record());
  first_->done = true;
  EXPECT_FALSE(both.Done());
  second_->done = true;
  EXPECT_TRUE(both.Done());
}

TEST_F(HostStreamsTest, FinishedEventsAreNotWaitedFor) {
  DeferredStream stream(*device_);
  EISBACH_EXPECT_OK(stream.Wait(Event()));
  first_->done = true;
  EISBACH_EXPECT_OK(stream.Wait(Event(first_)));
  EXPECT_TRUE(stream.Dependencies().empty());
}

TEST_F(HostStreamsTest, TheFirstErrorIsReported) {
  DeferredStream stream(*device_);
  first_->result = absl::InternalError("first");
  second_->result = absl::InternalError("second");
  EISBACH_EXPECT_OK(stream.Append(Event(first_)));
  EISBACH_EXPECT_OK(stream.Wait(Event(second_)));
  EXPECT_THAT(stream.Synchronize(),
              test::StatusIs(absl::StatusCode::kInternal, "first"));
  EXPECT_EQ(second_->waits, 1);
}

TEST_F(HostStreamsTest, TheEndOfAStreamWaitsForItsWork) {
  {
    DeferredStream stream(*device_);
    EISBACH_EXPECT_OK(stream.Append(Event(first_)));
  }
  EXPECT_EQ(first_->waits, 1);
}

}  // namespace
}  // namespace eisbach::host_streams_test
