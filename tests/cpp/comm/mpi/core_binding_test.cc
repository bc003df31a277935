#include "comm/mpi/core_binding.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace eisbach::comm::core_binding_test {
namespace {

std::string Command(std::initializer_list<absl::string_view> arguments) {
  std::string command;
  for (absl::string_view argument : arguments) {
    command.append(argument.data(), argument.size());
    command.push_back('\0');
  }
  return command;
}

TEST(AsksForBinding, SeesWhatBinds) {
  EXPECT_TRUE(AsksForBinding(
      Command({"prterun", "--bind-to", "core", "-n", "1", "eisbach"})));
  EXPECT_TRUE(AsksForBinding(
      Command({"mpirun", "-n", "1", "taskset", "-c", "3", "eisbach"})));
  EXPECT_TRUE(AsksForBinding(Command({"mpirun", "--cpu-set", "0-3", "x"})));
}

TEST(AsksForBinding, APlainCommandDoesNot) {
  EXPECT_FALSE(AsksForBinding(
      Command({"mpirun", "-n", "1", "eisbach", "train", "c.yaml"})));
  EXPECT_FALSE(AsksForBinding(""));
}

}  // namespace
}  // namespace eisbach::comm::core_binding_test
