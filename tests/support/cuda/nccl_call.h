#pragma once

#include <nccl.h>

#include <cstddef>

namespace eisbach::doubles {

enum class Kind {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kBroadcast,
  kSend,
  kReceive
};

// A call as the program made it. `bytes` is the size of what a rank gives,
// but for a reduce-scatter that of what it gets.
struct NcclCall {
  Kind kind;
  const void* in = nullptr;
  void* out = nullptr;
  size_t bytes = 0;
  ncclDataType_t type = ncclUint8;
  ncclRedOp_t op = ncclSum;
  int peer = -1;  // or the root
};

// Bytes of an element; 0 for types without a double.
size_t SizeOf(ncclDataType_t type);

}  // namespace eisbach::doubles
