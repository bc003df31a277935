#pragma once

#include <string>
#include <vector>

namespace eisbach::comm {

// Open MPI keeps a file for each rank in /dev/shm. mpirun removes those of its
// job, unless it was killed itself; a process without mpirun leaves its own.

// The files of Open MPI that process `pid` ("self" for this one) has mapped.
std::vector<std::string> MappedSegments(const std::string& proc,
                                        const std::string& pid);

// Removes the files of this user in `folder` (/dev/shm) that no process in
// `proc` (/proc) has mapped and that are older than `seconds`: one that has
// just been made may not be mapped yet.
void RemoveStaleSegments(const std::string& folder, const std::string& proc,
                         int seconds);

}  // namespace eisbach::comm
