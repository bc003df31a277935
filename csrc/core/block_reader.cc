#include "core/block_reader.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/check.h"
#include "core/signal_mask.h"
#include "core/status_macros.h"
#include "core/threads.h"

namespace eisbach {
namespace {

constexpr size_t kFewestThreads = 2;
constexpr size_t kMostThreads = 4;

}  // namespace

std::vector<ByteRange> CutBytes(uint64_t bytes, size_t most) {
  std::vector<ByteRange> ranges;
  for (uint64_t at = 0; at < bytes; at += ranges.back().bytes) {
    ranges.push_back({at, std::min<uint64_t>(most, bytes - at)});
  }
  return ranges;
}

BlockReader::BlockReader(const RegularFile& file,
                         absl::Span<const ByteRange> blocks, Visit visit,
                         PageCache cache)
    : file_(file),
      blocks_(blocks),
      visit_(std::move(visit)),
      direct_(cache == PageCache::kPass ? OpenDirect(file.fd()) : -1) {
  for (const ByteRange& block : blocks) most_ = std::max(most_, block.bytes);
  const size_t threads =
      std::min(std::clamp(static_cast<size_t>(ComputeThreads()), kFewestThreads,
                          kMostThreads),
               blocks.size());
  slots_ = std::vector<Slot>(std::min(2 * threads, blocks.size()));
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { ReadAhead(); });
  }
}

BlockReader::~BlockReader() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  free_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  if (direct_ >= 0) close(direct_);
}

bool BlockReader::ReadPastCache(const ByteRange& block, Slot& slot) const {
  const size_t lead = block.begin % kDirectAlignment;
  const size_t wanted = lead + block.bytes;
  const size_t room = wanted + kDirectAlignment - 1;
  const size_t whole = room - room % kDirectAlignment;
  for (size_t got = 0; got < wanted;) {
    const ssize_t more = pread(direct_, slot.memory.get() + got, whole - got,
                               static_cast<off_t>(block.begin - lead + got));
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) return false;
    got += static_cast<size_t>(more);
  }
  slot.bytes = {slot.memory.get() + lead, block.bytes};
  return true;
}

absl::Status BlockReader::Read(const ByteRange& block, Slot& slot) const {
  if (slot.memory == nullptr) {
    slot.memory = AllocateDirect(most_ + 2 * kDirectAlignment);
    if (slot.memory == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "no ", most_, " bytes of memory to read ", file_.path()));
    }
  }
  if (direct_ >= 0 && ReadPastCache(block, slot)) return absl::OkStatus();
  // A file system may open what it cannot read so. Plainly, an error has words.
  const std::span<std::byte> bytes(slot.memory.get(), block.bytes);
  slot.bytes = bytes;
  return file_.ReadAt(block.begin, bytes);
}

void BlockReader::ReadAhead() {
  KeepSignalsOff();
  std::unique_lock lock(mutex_);
  while (true) {
    // The block that was given last is still in use.
    free_.wait(lock, [this] {
      return stopped_ || begun_ == blocks_.size() ||
             begun_ < std::max<size_t>(given_, 1) - 1 + slots_.size();
    });
    if (stopped_ || begun_ == blocks_.size()) return;
    const size_t index = begun_++;
    Slot& slot = SlotOf(index);
    lock.unlock();
    slot.status = Read(blocks_[index], slot);
    if (slot.status.ok() && visit_) visit_(index, slot.bytes);
    lock.lock();
    slot.full = true;
    read_.notify_one();
  }
}

absl::StatusOr<std::span<const std::byte>> BlockReader::Next() {
  std::unique_lock lock(mutex_);
  EISBACH_CHECK(given_ < blocks_.size());
  if (given_ > 0) SlotOf(given_ - 1).full = false;
  const size_t index = given_++;
  free_.notify_all();
  const Slot& slot = SlotOf(index);
  read_.wait(lock, [&slot] { return slot.full; });
  EISBACH_RETURN_IF_ERROR(slot.status);
  return slot.bytes;
}

}  // namespace eisbach
