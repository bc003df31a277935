#include "comm/shm/group.h"

#include <algorithm>
#include <utility>

namespace eisbach::comm {

Group::Group(std::shared_ptr<Host> host, std::vector<int> members, int rank,
             const std::vector<uint64_t>& blocks)
    : host_(std::move(host)),
      members_(std::move(members)),
      rank_(rank),
      layout_(size()) {
  for (int member = 0; member < size(); ++member) {
    blocks_.push_back(At(member, static_cast<int64_t>(blocks[member])));
  }
}

Group::~Group() {
  for (char* block : blocks_) {
    layout_.closed(block, rank_).store(1, std::memory_order_release);
  }
  host_->Retire(blocks_[rank_], size());
}

int64_t Group::OffsetOf(const void* data) const {
  const std::optional<size_t> offset = host_->own().OffsetOf(data);
  return offset ? static_cast<int64_t>(*offset) : kPrivate;
}

void Group::Post(int64_t index, const Call& call) {
  mine().calls[index % 2] = call;
  mine().posted.Set(index + 1);
  RingPeers();
}

bool Group::AllPosted(int64_t index) const {
  return LeastOfPeers(&BlockHeader::posted) > static_cast<uint64_t>(index);
}

void Group::Leave(int64_t index) {
  mine().left.Set(index + 1);
  RingPeers();
}

bool Group::AllLeft(int64_t index) const {
  return LeastOfPeers(&BlockHeader::left) > static_cast<uint64_t>(index);
}

void Group::RingPeers() const {
  for (int member = 0; member < size(); ++member) {
    if (member != rank_) Ring(member);
  }
}

uint64_t Group::LeastOfPeers(Counter BlockHeader::*counter) const {
  uint64_t least = ~uint64_t{0};
  for (int member = 0; member < size(); ++member) {
    if (member == rank_) continue;
    least = std::min(least, (header(member).*counter).Get());
  }
  return least;
}

}  // namespace eisbach::comm
