#pragma once

#include <string>

#include "comm/communicator.h"
#include "nn/head_norm.h"
#include "parallel/tensor/heads.h"

namespace eisbach::parallel {

// RMS norm of all query heads together and of all key heads together, which
// the ranks of a group share (functions/width_norm.h). All hold the weights and
// see the same gradient.
class DividedWidthNorm final : public nn::QkvNorm {
 public:
  // The parameters are `name`.query_norm.weight and `name`.key_norm.weight.
  DividedWidthNorm(const std::string& name, const HeadShard& shard, double eps,
                   bool primary, ops::NormKind kind, comm::Communicator& group)
      : shard_(shard),
        eps_(eps),
        kind_(kind),
        query_(nn::WidthWeight(name + ".query_norm.weight",
                               shard.query.total * shard.local.head_dim,
                               primary, kind)),
        key_(nn::WidthWeight(name + ".key_norm.weight",
                             shard.key_value.total * shard.local.head_dim,
                             primary, kind)),
        group_(group) {}

  absl::StatusOr<Tensor> Forward(const Tensor& qkv,
                                 const ops::AttentionHeads& heads,
                                 const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    visit(query_);
    visit(key_);
  }

 private:
  HeadShard shard_;
  double eps_;
  ops::NormKind kind_;
  Parameter query_;
  Parameter key_;
  comm::Communicator& group_;
};

}  // namespace eisbach::parallel
