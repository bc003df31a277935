#include "watch/stack.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "watch/monotonic.h"

namespace eisbach::watch {
namespace {

constexpr int kFrames = 64;
constexpr size_t kNameLetters = 120;

struct sigaction before;
void* frames[kFrames];
std::atomic<int> count{0};
std::atomic<uintptr_t> interrupted{0};
std::atomic<bool> there{false};

uintptr_t ProgramCounter(const void* context) {
  const auto* user = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return static_cast<uintptr_t>(user->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<uintptr_t>(user->uc_mcontext.pc);
#else
  (void)user;
  return 0;
#endif
}

void OnSignal(int number, siginfo_t* info, void* context) {
  const int error = errno;
  count.store(backtrace(frames, kFrames));
  interrupted.store(ProgramCounter(context));
  if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(number, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
  }
  there.store(true, std::memory_order_release);
  errno = error;
}

std::string FrameText(void* address) {
  Dl_info info;
  if (dladdr(address, &info) == 0) {
    return absl::StrFormat("%p", address);
  }
  std::string file = info.dli_fname == nullptr ? "" : info.dli_fname;
  file = file.substr(file.rfind('/') + 1);
  if (info.dli_sname == nullptr) {
    return absl::StrFormat("%s+0x%x", file,
                           reinterpret_cast<uintptr_t>(address) -
                               reinterpret_cast<uintptr_t>(info.dli_fbase));
  }
  int status = 0;
  char* demangled =
      abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status);
  std::string name = status == 0 ? demangled : info.dli_sname;
  std::free(demangled);
  if (name.size() > kNameLetters) name = name.substr(0, kNameLetters) + "...";
  return absl::StrCat(name, " in ", file);
}

}  // namespace

int StackSignal() { return SIGURG; }

void InstallStackHandler() {
  static const bool installed = [] {
    void* once[1];
    backtrace(once, 1);  // loads what it needs, which a handler must not
    struct sigaction action = {};
    action.sa_sigaction = &OnSignal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    return sigaction(StackSignal(), &action, &before) == 0;
  }();
  (void)installed;
}

std::string StackOf(pthread_t thread, absl::Duration patience) {
  there.store(false);
  if (pthread_kill(thread, StackSignal()) != 0) return "";
  const absl::Time deadline = MonotonicNow() + patience;
  while (!there.load(std::memory_order_acquire)) {
    if (MonotonicNow() > deadline) return "";
    absl::SleepFor(absl::Milliseconds(2));
  }
  // What is on top of the interrupted frame is the handler's.
  void** const end = frames + count.load();
  void** begin =
      std::find(frames, end, reinterpret_cast<void*>(interrupted.load()));
  if (begin == end) begin = frames;
  std::string text;
  for (void** frame = begin; frame != end; ++frame) {
    absl::StrAppend(&text, FrameText(*frame), "\n");
  }
  return text;
}

}  // namespace eisbach::watch
