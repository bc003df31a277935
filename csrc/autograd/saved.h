#pragma once

#include "absl/status/statusor.h"
#include "autograd/node.h"

namespace eisbach::autograd {

// A tensor that a node keeps for its backward: its memory, or only the way to
// it where the node that made it can make it again (Node::Remakes). So the
// outputs of norms and activations, over a third of what a transformer block
// would keep, are freed in the forward pass; Chen et al., arXiv:1604.06174,
// section 3, with the choice left to those who know what is cheap.
class Saved {
 public:
  Saved() = default;  // nothing
  explicit Saved(const Tensor& tensor);

  // Starts what Get does elsewhere than on `stream`, so that it is done beside
  // what is computed until then (Node::BeginRemake).
  absl::Status Begin(Stream& stream) const;

  // The tensor. Made anew by each call where its memory is not kept, so call
  // it once, in the backward of the node that holds this.
  absl::StatusOr<Tensor> Get(Stream& stream) const;

 private:
  Tensor tensor_;          // undefined where it is made again
  Node* maker_ = nullptr;  // stands before the holder in the graph: still there
  int output_ = 0;
};

}  // namespace eisbach::autograd
