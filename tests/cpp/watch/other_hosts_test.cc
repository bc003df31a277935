#include "watch/other_hosts.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <utility>
#include <vector>

#include "support/status_testing.h"

namespace eisbach::watch::other_hosts_test {
namespace {

constexpr SipKey kKey = {21, 22};

// The watch of a host of one rank.
class One {
 public:
  explicit One(int rank) : table_(std::make_unique<comm::RankTable>()) {
    table_->rank = rank;
    neighbours_ = std::make_unique<Neighbours>(*table_, "host", 1.0);
    auto channel = SideChannel::Open("lo", kKey);
    EXPECT_TRUE(channel.ok()) << channel.status();
    channel_ = *std::move(channel);
    place_ = {.rank = rank, .host = rank, .addresses = channel_->addresses()};
  }

  void Meet(const One& other) {
    fd_ = channel_->fd();
    others_ = std::make_unique<OtherHosts>(
        std::move(channel_), std::vector{other.place_}, *neighbours_);
  }

  OtherHosts& others() { return *others_; }

  bool AnswersToEnd() {
    pollfd waits = {.fd = fd_, .events = POLLIN, .revents = 0};
    poll(&waits, 1, /*timeout=*/60'000);
    return others_->Answer();
  }

 private:
  std::unique_ptr<comm::RankTable> table_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<SideChannel> channel_;
  OtherHosts::Place place_;
  std::unique_ptr<OtherHosts> others_;
  int fd_ = -1;
};

class TheEnd : public testing::TestWithParam<bool> {};

TEST_P(TheEnd, IsToldWithWhetherAHostIsLost) {
  One here(0), there(1);
  here.Meet(there);
  there.Meet(here);
  EXPECT_FALSE(there.others().Answer());
  here.others().TellEnd(GetParam());
  EXPECT_TRUE(there.AnswersToEnd());
  EXPECT_EQ(there.others().loss_told(), GetParam());
  EXPECT_TRUE(there.others().Answer());  // it stays so
}

INSTANTIATE_TEST_SUITE_P(OtherHosts, TheEnd, testing::Bool());

}  // namespace
}  // namespace eisbach::watch::other_hosts_test
