#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "watch/neighbours.h"
#include "watch/rank_view.h"
#include "watch/side_channel.h"

namespace eisbach::watch {

// The ranks whose tables this process cannot map, asked over a side channel.
// Any rank of a host answers for all that it has mapped: a stopped one cannot.
class OtherHosts {
 public:
  struct Place {
    int rank;
    int host;  // the same number for all ranks of one
    std::vector<std::string> addresses;
  };

  // `places` holds those that are asked. `neighbours` outlives this.
  OtherHosts(std::unique_ptr<SideChannel> channel, std::vector<Place> places,
             Neighbours& neighbours);

  int fd() const { return channel_->fd(); }
  // Answers the questions that have come. True when another host has said that
  // the job ends.
  bool Answer();
  // Whether it has said as well that a host is lost.
  bool loss_told() const { return loss_told_; }
  // Replaces the views of other hosts' ranks in `ranks`, which are by rank, by
  // what is answered within `patience`; with stacks of those that can tell.
  void Ask(std::vector<RankView>& ranks, bool stacks, absl::Duration patience);
  // Tells all others that the job ends, and whether a host is lost.
  void TellEnd(bool host_lost);

 private:
  void AskOnce(const std::vector<bool>& known, bool stacks, uint64_t nonce,
               int round);

  const std::unique_ptr<SideChannel> channel_;
  const std::vector<Place> places_;
  Neighbours& neighbours_;
  bool end_told_ = false;
  bool loss_told_ = false;
  // Of the question that is open, and who takes its answers.
  uint64_t nonce_ = 0;
  std::function<void(RankView)> take_;
};

}  // namespace eisbach::watch
