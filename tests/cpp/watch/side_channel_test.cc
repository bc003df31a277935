#include "watch/side_channel.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <string>

#include "support/status_testing.h"

namespace eisbach::watch::side_channel_test {
namespace {

constexpr SipKey kKey = {11, 12};

std::optional<SideChannel::Received> Next(SideChannel& channel) {
  pollfd waits = {.fd = channel.fd(), .events = POLLIN, .revents = 0};
  poll(&waits, 1, /*timeout=*/60'000);
  return channel.Receive();
}

TEST(SideChannel, AnswersReachWhoAsked) {
  EISBACH_ASSERT_OK_AND_ASSIGN(auto here, SideChannel::Open("", kKey));
  EISBACH_ASSERT_OK_AND_ASSIGN(auto there, SideChannel::Open("", kKey));
  ASSERT_FALSE(there->addresses().empty());
  here->Send(there->addresses()[0], {.kind = 'Q', .nonce = 5, .body = "who"});
  const auto asked = Next(*there);
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->message.kind, 'Q');
  EXPECT_EQ(asked->message.nonce, 5);
  EXPECT_EQ(asked->message.body, "who");
  const std::string large(SideChannel::kMostBytes, 'x');
  there->Reply(*asked, {.kind = 'A', .nonce = 5, .body = large});
  const auto answer = Next(*here);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->message.body, large);
}

TEST(SideChannel, WhatHasAnotherKeyIsDropped) {
  EISBACH_ASSERT_OK_AND_ASSIGN(auto here, SideChannel::Open("lo", kKey));
  EISBACH_ASSERT_OK_AND_ASSIGN(auto stranger,
                               SideChannel::Open("lo", SipKey{11, 13}));
  EISBACH_ASSERT_OK_AND_ASSIGN(auto friendly, SideChannel::Open("lo", kKey));
  stranger->Send(here->addresses()[0], {.kind = 'E'});
  friendly->Send(here->addresses()[0], {.kind = 'Q'});
  const auto received = Next(*here);
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(received->message.kind, 'Q');
  EXPECT_FALSE(here->Receive().has_value());
}

TEST(SideChannel, AnInterfaceThatIsNotThereIsNamed) {
  EXPECT_THAT(SideChannel::Open("nosuch0", kKey),
              test::StatusIs(absl::StatusCode::kUnavailable, "nosuch0"));
}

}  // namespace
}  // namespace eisbach::watch::side_channel_test
