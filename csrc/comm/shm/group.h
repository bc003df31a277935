#pragma once

#include <memory>
#include <vector>

#include "comm/shm/block.h"
#include "comm/shm/host.h"

namespace eisbach::comm {

// One rank's view of a group: the blocks of all members, and their arenas.
// Used by whoever drives the rank's queue, one thread at a time.
class Group {
 public:
  // `members` are ranks of the host, `blocks` the offsets of their blocks;
  // this is number `rank`.
  Group(std::shared_ptr<Host> host, std::vector<int> members, int rank,
        const std::vector<uint64_t>& blocks);
  // Says to all members that their blocks are not touched any more.
  ~Group();

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(members_.size()); }
  Host& host() const { return *host_; }
  int host_rank(int member) const { return members_[member]; }
  const BlockLayout& layout() const { return layout_; }
  char* block(int member) const { return blocks_[member]; }
  BlockHeader& header(int member) const {
    return layout_.header(blocks_[member]);
  }
  BlockHeader& mine() const { return header(rank_); }

  // Where a tensor of this rank lies in its arena, or kPrivate.
  int64_t OffsetOf(const void* data) const;
  char* At(int member, int64_t offset) const {
    return host_->arena(members_[member]).data() + offset;
  }

  const Call& call(int member, int64_t index) const {
    return header(member).calls[index % 2];
  }
  // Shows call `index` to the others.
  void Post(int64_t index, const Call& call);
  bool AllPosted(int64_t index) const;
  void Leave(int64_t index);
  bool AllLeft(int64_t index) const;

  void Ring(int member) const { host_->Ring(members_[member]); }
  void RingPeers() const;
  // The least of the peers' counters.
  uint64_t LeastOfPeers(Counter BlockHeader::*counter) const;

  // Rounds of the staged calls that are over.
  uint64_t rounds() const { return rounds_; }
  void AddRounds(int64_t rounds) { rounds_ += rounds; }

 private:
  const std::shared_ptr<Host> host_;
  const std::vector<int> members_;
  const int rank_;
  const BlockLayout layout_;
  std::vector<char*> blocks_;
  uint64_t rounds_ = 0;
};

}  // namespace eisbach::comm
