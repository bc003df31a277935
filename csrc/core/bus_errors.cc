#include "core/bus_errors.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <utility>

#include "core/log.h"

namespace eisbach {

// Never freed, so that the handler can walk the list at any time; taken again
// when `begin` is 0. All else is written while it is 0.
struct BusErrorWatch::Range {
  std::atomic<uintptr_t> begin{0};
  size_t size = 0;
  std::string path;
  int rank = -1;
  Range* next = nullptr;
};

struct BusErrorHandler {
  using Range = BusErrorWatch::Range;

  static Range* Take(uintptr_t begin, size_t size, std::string path);
  static void Install();
  static void Handle(int signal, siginfo_t* info, void* context);
  static void Forward(int signal, siginfo_t* info, void* context);

  static std::mutex mutex;  // of Take and Install
  static std::atomic<Range*> ranges;
  static struct sigaction before;
};

std::mutex BusErrorHandler::mutex;
std::atomic<BusErrorHandler::Range*> BusErrorHandler::ranges{nullptr};
struct sigaction BusErrorHandler::before = {};

namespace {

// How often this thread is in the handler: one that was there before may call
// ours in its turn. In static storage, since a handler cannot allocate.
__attribute__((tls_model("initial-exec"))) thread_local int handler_depth = 0;

// Text without allocation.
class SignalLine {
 public:
  void Add(const char* text) { Add(text, std::strlen(text)); }
  void Add(uint64_t number) {
    char digits[20];
    size_t at = sizeof(digits);
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    Add(digits + at, sizeof(digits) - at);
  }
  void Write() {
    [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, text_, size_);
  }

 private:
  void Add(const char* text, size_t size) {
    if (size > sizeof(text_) - size_) size = sizeof(text_) - size_;
    std::memcpy(text_ + size_, text, size);
    size_ += size;
  }

  char text_[4600];  // the longest path and the words about it
  size_t size_ = 0;
};

}  // namespace

BusErrorHandler::Range* BusErrorHandler::Take(uintptr_t begin, size_t size,
                                              std::string path) {
  std::lock_guard lock(mutex);
  Install();
  Range* range = ranges.load();
  while (range != nullptr && range->begin.load() != 0) range = range->next;
  const bool fresh = range == nullptr;
  if (fresh) range = new Range;
  range->size = size;
  range->path = std::move(path);
  range->rank = LogRank();
  if (fresh) {
    range->next = ranges.load();
    ranges.store(range);
  }
  range->begin.store(begin);
  return range;
}

// Again, where somebody has put a handler of his own in its place.
void BusErrorHandler::Install() {
  struct sigaction current;
  if (sigaction(SIGBUS, nullptr, &current) != 0) return;
  const bool ours =
      (current.sa_flags & SA_SIGINFO) != 0 && current.sa_sigaction == &Handle;
  if (ours) return;
  before = current;
  struct sigaction action = {};
  action.sa_sigaction = &Handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, nullptr);
}

void BusErrorHandler::Handle(int signal, siginfo_t* info, void* context) {
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  const Range* range = info->si_code > 0 ? ranges.load() : nullptr;
  for (; range != nullptr; range = range->next) {
    const uintptr_t begin = range->begin.load();
    if (begin != 0 && at >= begin && at - begin < range->size) break;
  }
  if (range == nullptr) return Forward(signal, info, context);
  SignalLine line;
  line.Add("eisbach: error: ");
  if (range->rank >= 0) {
    line.Add("rank ");
    line.Add(static_cast<uint64_t>(range->rank));
    line.Add(": ");
  }
  line.Add(range->path.c_str());
  line.Add(": cannot be read at byte ");
  line.Add(at - range->begin.load());
  line.Add("; it had ");
  line.Add(range->size);
  line.Add(" bytes when it was opened");
  struct stat now;
  if (stat(range->path.c_str(), &now) == 0) {
    line.Add(" and has ");
    line.Add(static_cast<uint64_t>(now.st_size));
    line.Add(" now");
  }
  line.Add(": was it cut short, or does its disk fail?\n");
  line.Write();
  _exit(1);
}

void BusErrorHandler::Forward(int signal, siginfo_t* info, void* context) {
  const bool again = handler_depth > 0;
  ++handler_depth;
  if (!again && (before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (!again && before.sa_handler != SIG_DFL &&
             before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    // What the system does: the process ends when this handler has returned.
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
    raise(signal);
  }
  --handler_depth;
}

BusErrorWatch::BusErrorWatch(const void* begin, size_t size, std::string path)
    : range_(BusErrorHandler::Take(reinterpret_cast<uintptr_t>(begin), size,
                                   std::move(path))) {}

BusErrorWatch::BusErrorWatch(BusErrorWatch&& other) noexcept
    : range_(std::exchange(other.range_, nullptr)) {}

BusErrorWatch& BusErrorWatch::operator=(BusErrorWatch&& other) noexcept {
  std::swap(range_, other.range_);
  return *this;
}

BusErrorWatch::~BusErrorWatch() {
  if (range_ != nullptr) range_->begin.store(0);
}

}  // namespace eisbach
