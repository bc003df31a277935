#pragma once

#include <cstdio>
#include <cstdlib>

// EISBACH_CHECK(condition) ends the process with file and line when an
// invariant of our own code is broken. What a user, a file or a peer can cause
// is an absl::Status instead.
#define EISBACH_CHECK(condition)                                            \
  do {                                                                      \
    if (!(condition)) [[unlikely]] {                                        \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, \
                   #condition);                                             \
      std::abort();                                                         \
    }                                                                       \
  } while (false)
