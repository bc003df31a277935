#pragma once

namespace eisbach {

// What autograd hangs on a tensor: the node of the graph that made it. Opaque
// here; autograd/node.h derives from it.
class GradNode {
 public:
  virtual ~GradNode() = default;
};

// Output number `output` of `node`; a null node means no gradient is wanted.
// The node belongs to its graph, which outlives every tensor that points here.
struct GradEdge {
  GradNode* node = nullptr;
  int output = 0;
};

}  // namespace eisbach
