#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/completion.h"
#include "comm/progress.h"
#include "core/status_macros.h"

namespace eisbach::comm {

TaskQueue::TaskQueue(std::shared_ptr<Progress> progress, std::string name,
                     Tracer& tracer)
    : TaskQueue(progress, std::move(name), tracer, progress->peers_ring_) {}

TaskQueue::TaskQueue(std::shared_ptr<Progress> progress, std::string name,
                     Tracer& tracer, bool peers_ring)
    : progress_(std::move(progress)),
      name_(std::move(name)),
      tracer_(tracer),
      peers_ring_(peers_ring) {
  progress_->Add(this);
}

TaskQueue::~TaskQueue() {
  Drain();
  progress_->Remove(this);
}

absl::StatusOr<std::shared_ptr<TaskQueue::Completion>> TaskQueue::Push(
    std::unique_ptr<Task> task, std::vector<Event> dependencies,
    int64_t begin_ns) {
  auto completion = std::make_shared<Completion>(
      progress_, tracer_,
      SpanLabel{
          .kind = SpanKind::kWait, .name = task->label().name, .detail = name_},
      task->label().mark);
  std::lock_guard<std::mutex> lock(mutex_);
  if (!failure_.ok()) return failure_;
  if (progress_->stopped_) {
    return absl::FailedPreconditionError(absl::StrCat(
        "communicator \"", name_, "\" was used after its world had ended"));
  }
  progress_->pending_.fetch_add(1);
  Entry entry{std::move(task), std::move(dependencies), completion, begin_ns};
  if (begin_ns < 0) {
    entries_.push_back(std::move(entry));
  } else {  // what another thread has pushed meanwhile comes after it
    entries_.push_front(std::move(entry));
  }
  return completion;
}

absl::StatusOr<int64_t> TaskQueue::TryAtOnce(std::unique_ptr<Task>& task) {
  constexpr int64_t kPatienceNs = 3000;
  std::unique_lock<std::mutex> drive(progress_->drive_mutex_, std::try_to_lock);
  if (!drive) return -1;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!failure_.ok()) return failure_;
    if (!entries_.empty() || progress_->stopped_) return -1;
  }
  const int64_t begin_ns = Tracer::Now();
  task->label().mark.Begun(begin_ns);
  int64_t now_ns = begin_ns;
  while (now_ns - begin_ns < kPatienceNs) {
    absl::StatusOr<Task::Step> step = task->Poll();
    now_ns = Tracer::Now();
    if (!step.ok()) {
      failed_task_ = std::move(task);
      FailAll(step.status());
      return step.status();
    }
    if (*step != Task::Step::kDone) continue;
    TellDone(task->label(), begin_ns, now_ns);
    tracer_.Add(
        {.kind = SpanKind::kWait, .name = task->label().name, .detail = name_},
        begin_ns, now_ns);
    task.reset();
    return begin_ns;
  }
  return begin_ns;
}

void TaskQueue::TellDone(const TaskLabel& label, int64_t begin_ns,
                         int64_t end_ns) {
  label.mark.Done();
  tracer_.Add({.kind = SpanKind::kCollective,
               .name = label.name,
               .detail = name_,
               .bytes = static_cast<double>(label.bytes)},
              begin_ns, end_ns);
}

absl::Status TaskQueue::Submit(std::unique_ptr<Task> task, Stream& stream) {
  int64_t begin_ns = -1;
  if (stream.runs_inline()) {
    EISBACH_ASSIGN_OR_RETURN(begin_ns, TryAtOnce(task));
    // The progress thread may have found the queues taken and gone to sleep.
    if (begin_ns >= 0 && progress_->pending_.load() > 0) {
      progress_->bell().Ring();
    }
    if (task == nullptr) return absl::OkStatus();
  }
  EISBACH_ASSIGN_OR_RETURN(
      std::shared_ptr<Completion> completion,
      Push(std::move(task), stream.Dependencies(), begin_ns));
  // An inline stream waits here, and drives the task itself.
  EISBACH_RETURN_IF_ERROR(stream.Append(Event(completion)));
  if (!completion->Done()) progress_->Wake();
  return absl::OkStatus();
}

absl::Status TaskQueue::Run(std::unique_ptr<Task> task) {
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Completion> completion,
                           Push(std::move(task), {}));
  return completion->Wait();
}

void TaskQueue::Drain() {
  std::shared_ptr<Completion> last;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!entries_.empty()) last = entries_.back().completion;
  }
  if (last != nullptr) last->Wait().IgnoreError();
}

bool TaskQueue::failed() {
  std::lock_guard<std::mutex> lock(mutex_);
  return !failure_.ok();
}

absl::StatusOr<Task::Step> TaskQueue::PollEntry(Entry& entry) {
  for (const Event& event : entry.dependencies) {
    if (!event.Done()) return Task::Step::kIdle;
    EISBACH_RETURN_IF_ERROR(event.Wait());
  }
  entry.dependencies.clear();
  if (entry.begin_ns < 0) {
    entry.begin_ns = Tracer::Now();
    entry.task->label().mark.Begun(entry.begin_ns);
  }
  return entry.task->Poll();
}

TaskQueue::Polled TaskQueue::Poll() {
  Polled polled;
  while (true) {
    Entry* head = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (entries_.empty()) return polled;
      head = &entries_.front();  // stays where it is while others push
    }
    absl::StatusOr<Task::Step> step = PollEntry(*head);
    if (!step.ok()) {
      failed_task_ = std::move(head->task);
      FailAll(step.status());
      return {.moved = true, .completed = true};
    }
    if (*step == Task::Step::kIdle) {
      polled.must_poll = !peers_ring_;
      return polled;
    }
    polled.moved = true;
    if (*step == Task::Step::kMoved) return polled;
    polled.completed = true;
    Entry done;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      done = std::move(entries_.front());
      entries_.pop_front();
    }
    TellDone(done.task->label(), done.begin_ns, Tracer::Now());
    Finish(std::move(done), absl::OkStatus());
  }
}

void TaskQueue::Finish(Entry entry, absl::Status status) {
  entry.task.reset();  // lets go of the tensors before anybody is told
  progress_->pending_.fetch_sub(1);
  entry.completion->Finish(std::move(status));
}

void TaskQueue::FailAll(const absl::Status& status) {
  std::deque<Entry> failed;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    failure_ = status;
    failed.swap(entries_);
  }
  for (Entry& entry : failed) Finish(std::move(entry), status);
}

}  // namespace eisbach::comm
