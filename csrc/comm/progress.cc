#include "comm/progress.h"

#include <sched.h>

#include <algorithm>
#include <utility>

#include "comm/completion.h"
#include "core/log.h"
#include "core/signal_mask.h"

namespace eisbach::comm {

Progress::Progress(int rank, bool peers_ring, std::shared_ptr<BellWord> bell)
    : rank_(rank),
      peers_ring_(peers_ring),
      bell_word_(std::move(bell)),
      bell_(bell_word_.get()) {}

Progress::~Progress() { Stop(); }

void Progress::Stop() {
  stopped_ = true;
  work_bell_.Ring();
  bell_.Ring();
  {
    std::lock_guard<std::mutex> lock(thread_mutex_);
    if (thread_.joinable()) thread_.join();
  }
  std::lock_guard<std::mutex> lock(drive_mutex_);
  for (TaskQueue* queue : queues_) {
    queue->FailAll(absl::CancelledError("the world has ended"));
  }
}

void Progress::Add(TaskQueue* queue) {
  std::lock_guard<std::mutex> lock(drive_mutex_);
  queues_.push_back(queue);
}

void Progress::Remove(TaskQueue* queue) {
  std::lock_guard<std::mutex> lock(drive_mutex_);
  queues_.erase(std::find(queues_.begin(), queues_.end(), queue));
}

TaskQueue::Polled Progress::PollAll() {
  TaskQueue::Polled all;
  for (TaskQueue* queue : queues_) {
    const TaskQueue::Polled one = queue->Poll();
    all.moved |= one.moved;
    all.completed |= one.completed;
    all.must_poll |= one.must_poll;
  }
  return all;
}

void Progress::Wake() {
  if (waiters_.load() > 0) return;
  {
    std::lock_guard<std::mutex> lock(thread_mutex_);
    if (!thread_.joinable() && !stopped_) {
      thread_ = std::thread([this] { ThreadMain(); });
    }
  }
  work_bell_.Ring();
  bell_.Ring();
}

void Progress::WaitFor(TaskQueue::Completion& completion) {
  waiters_.fetch_add(1);
  Backoff backoff(bell_), standing_by(bell_);
  while (true) {
    const uint32_t seen = bell_.epoch();
    if (completion.Done()) break;
    if (!drive_mutex_.try_lock()) {
      // Another thread drives: it rings when a task is done or when it leaves.
      standing_by.Pause(seen, /*peers_ring=*/true);
      continue;
    }
    const TaskQueue::Polled polled = PollAll();
    drive_mutex_.unlock();
    if (polled.completed) bell_.Ring();
    if (completion.Done()) break;
    if (polled.moved) {
      backoff.Reset();
    } else {
      backoff.Pause(seen, !polled.must_poll);
    }
  }
  if (waiters_.fetch_sub(1) == 1 && pending_.load() > 0) Wake();
}

void Progress::ThreadMain() {
  KeepSignalsOff();  // they are for the main thread
  SetLogRank(rank_);
  const auto idle = [this] {
    return pending_.load() == 0 || waiters_.load() > 0;
  };
  Backoff backoff(bell_);
  while (!stopped_) {
    if (idle()) {
      backoff.Reset();
      bell_.Ring();  // a waiter may be standing by
      Bell::Listener listener(work_bell_);
      const uint32_t seen = work_bell_.epoch();
      if (idle() && !stopped_) work_bell_.Wait(seen, std::chrono::seconds(1));
      continue;
    }
    const uint32_t seen = bell_.epoch();
    TaskQueue::Polled polled;
    if (drive_mutex_.try_lock()) {
      polled = PollAll();
      drive_mutex_.unlock();
    }
    if (polled.completed) bell_.Ring();
    if (polled.moved) {
      backoff.Reset();
    } else {
      backoff.Pause(seen, !polled.must_poll, /*patient=*/true);
    }
  }
}

}  // namespace eisbach::comm
