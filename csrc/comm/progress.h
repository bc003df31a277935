#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/activity.h"
#include "comm/bell.h"
#include "device/event.h"
#include "device/stream.h"
#include "device/tracer.h"

namespace eisbach::comm {

// What a trace tells of a task.
struct TaskLabel {
  absl::string_view name = "set_up";  // "all_reduce"; outlives every task
  int64_t bytes = 0;
  CallMark mark;  // in the table of this rank
};

// One call in flight: a state machine that never blocks. It owns what it
// works on and is destroyed as soon as it is done.
class Task {
 public:
  enum class Step : uint8_t { kIdle, kMoved, kDone };

  virtual ~Task() = default;
  // Goes on as far as it can, in bounded time (about a millisecond). Called by
  // one thread at a time; not called again after kDone or an error.
  virtual absl::StatusOr<Step> Poll() = 0;

  const TaskLabel& label() const { return label_; }
  void set_label(const TaskLabel& label) { label_ = label; }

 private:
  TaskLabel label_;
};

class Progress;

// The calls of one communicator, done one after the other. `tracer` hears of
// each, from when it is first driven until it is done, and of the time that
// threads wait for it.
class TaskQueue {
 public:
  // `tracer` outlives the queue. `peers_ring`: see Progress, whose word it is
  // unless given here.
  TaskQueue(std::shared_ptr<Progress> progress, std::string name,
            Tracer& tracer);
  TaskQueue(std::shared_ptr<Progress> progress, std::string name,
            Tracer& tracer, bool peers_ring);
  ~TaskQueue();

  // Gives `task` to `stream`: it starts after the stream's dependencies, and
  // its completion is appended to the stream. The error of a task that has
  // failed is that of every later one.
  absl::Status Submit(std::unique_ptr<Task> task, Stream& stream);
  // The same without a stream; returns when the task is done.
  absl::Status Run(std::unique_ptr<Task> task);
  // Returns when everything submitted is done.
  void Drain();
  bool failed();

 private:
  friend class Progress;
  class Completion;
  struct Entry {
    std::unique_ptr<Task> task;
    std::vector<Event> dependencies;
    std::shared_ptr<Completion> completion;
    int64_t begin_ns = -1;  // when it was first driven; not yet
  };
  struct Polled {
    bool moved = false;
    bool completed = false;
    bool must_poll = false;  // waits for something that does not ring
  };

  // `begin_ns`: when the task was first driven, negative for not yet.
  absl::StatusOr<std::shared_ptr<Completion>> Push(
      std::unique_ptr<Task> task, std::vector<Event> dependencies,
      int64_t begin_ns = -1);
  // Drives `task` on the calling thread, past the queue, if nothing is before
  // it: a small call is over in less time than it takes to queue it. Gives up
  // after some microseconds; the task then goes on in the queue. Returns when
  // it was first driven, negative for never, and resets a task that is done.
  absl::StatusOr<int64_t> TryAtOnce(std::unique_ptr<Task>& task);
  void TellDone(const TaskLabel& label, int64_t begin_ns, int64_t end_ns);
  // With the drive lock held.
  Polled Poll();
  void Finish(Entry entry, absl::Status status);
  void FailAll(const absl::Status& status);
  absl::StatusOr<Task::Step> PollEntry(Entry& entry);

  const std::shared_ptr<Progress> progress_;
  const std::string name_;
  Tracer& tracer_;
  const bool peers_ring_;
  std::mutex mutex_;
  std::deque<Entry> entries_;
  absl::Status failure_;
  // A task that failed may still own buffers that peers write to.
  std::unique_ptr<Task> failed_task_;
};

// Drives all task queues of one rank. A thread that waits for a task drives
// them itself; otherwise one progress thread, started when first needed, does.
// It blocks in no task, and sleeps when there is none.
class Progress {
 public:
  // `peers_ring` says that whoever changes what a task of this rank waits for
  // rings bell(); without it a rank that waits polls at growing intervals.
  // `bell` is where bell() lies, for peers in other processes.
  Progress(int rank, bool peers_ring, std::shared_ptr<BellWord> bell = nullptr);
  ~Progress();

  Bell& bell() { return bell_; }
  // Ends the progress thread. Calls that are still queued fail.
  void Stop();

 private:
  friend class TaskQueue;

  void Add(TaskQueue* queue);
  void Remove(TaskQueue* queue);
  // Something is queued that nobody waits for.
  void Wake();
  void WaitFor(TaskQueue::Completion& completion);
  TaskQueue::Polled PollAll();
  void ThreadMain();

  const int rank_;
  const bool peers_ring_;
  const std::shared_ptr<BellWord> bell_word_;
  Bell bell_;       // a task may be able to move
  Bell work_bell_;  // the progress thread may be needed
  std::atomic<int> waiters_{0};
  std::atomic<int> pending_{0};
  std::atomic<bool> stopped_{false};

  std::mutex drive_mutex_;  // held by whoever polls
  std::vector<TaskQueue*> queues_;
  std::mutex thread_mutex_;
  std::thread thread_;
};

}  // namespace eisbach::comm
