#include "watch/process_state.h"

#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace eisbach::watch {

ProcessState StateOf(pid_t pid, const std::string& proc) {
  std::ifstream file(absl::StrCat(proc, "/", pid, "/stat"));
  std::string text;
  if (!std::getline(file, text)) return {};
  // The name, in parentheses, may hold anything.
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  ProcessState state;
  fields >> state.letter;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  fields >> state.start_ticks;  // field 22 of proc(5)
  return fields ? state : ProcessState{};
}

}  // namespace eisbach::watch
