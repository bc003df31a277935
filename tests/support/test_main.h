#pragma once

#include <initializer_list>
#include <string>

namespace eisbach::test {

// A test of ctest whose source file is compiled together with others.
struct BatchedTest {
  std::string program;  // what it is started as
  std::string source;   // the end of the file's path, from tests/ on
};

// Tells the main (test_main.cc) which tests a program consists of. It then runs
// those of the file whose program it is started as, a link to it; without this
// call those of all files. Once a program, before main.
bool TellBatch(std::initializer_list<BatchedTest> tests);

}  // namespace eisbach::test
