#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "device/stream.h"
#include "ops/cuda/attention_key.h"

// Who computes attention: a library with tensor cores where it takes the
// shape, our own kernels elsewhere. The choice is made when a device first sees
// a shape, and stays:
//
//   EISBACH_CUDA_ATTENTION=auto    cuDNN, unless it refuses the shape; its
//   (or not set)                   reason is then logged once, and our kernels
//                                  compute the shape
//   EISBACH_CUDA_ATTENTION=cudnn   cuDNN; a shape that it refuses is an error
//   EISBACH_CUDA_ATTENTION=simt    our kernels
//
// cuDNN is asked for bf16 and f16, head_dim a multiple of 8 up to 256, and
// query heads that share key/value heads evenly; not for documents side by
// side, a window or a cap. Beyond that, its version and the GPU decide:
// tests/golden/cudnn_plans lists what they take. Once chosen, an error of cuDNN
// is the op's error.
namespace eisbach::cuda {

// Where the operands lie, 16-byte aligned. Forward writes out and lse, backward
// reads them and writes dqkv.
struct AttentionPointers {
  void* qkv = nullptr;
  void* out = nullptr;
  float* lse = nullptr;
  void* dout = nullptr;
  void* dqkv = nullptr;
};

// Attention of one shape on one device, by a library.
class AttentionRunner {
 public:
  virtual ~AttentionRunner() = default;
  virtual absl::Status Run(const AttentionPointers& pointers,
                           Stream& stream) = 0;
  virtual std::string Describe() const = 0;  // library, engine, workspace
};

// Prepares a shape for the stream's device; Unimplemented, with the reason, for
// one that the library refuses. Called once a shape, under a lock.
using AttentionProvider = absl::StatusOr<std::unique_ptr<AttentionRunner>> (*)(
    const AttentionKey& key, Stream& stream);
// From a static initialiser of the file that wraps a library; at most one.
bool RegisterAttentionProvider(AttentionProvider provider);

// The runner for a shape, which lives as long as the process; null where our
// own kernels compute it.
absl::StatusOr<AttentionRunner*> ChooseAttention(const AttentionKey& key,
                                                 Stream& stream);
// The same in words, for reports: "cuDNN 9.28.1: workspace 256 bytes, eng9...",
// "own kernel: cuDNN is not asked: ...".
absl::StatusOr<std::string> DescribeAttention(const AttentionKey& key,
                                              Stream& stream);

}  // namespace eisbach::cuda
