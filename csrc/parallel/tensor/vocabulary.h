#pragma once

#include "comm/communicator.h"
#include "nn/embedding.h"
#include "nn/head.h"

namespace eisbach::parallel {

// The rows of a [vocab, hidden] table that rank `rank` of `size` holds: all
// ranks hold equally many, so that the last ones may end in padding (start +
// count past total).
nn::Range VocabularyRows(int64_t vocab, int rank, int size);

// An embedding whose rows are divided among the group: each rank looks up what
// it holds, and the sum over the group is the result.
class VocabularyEmbedding final : public nn::TokenEmbedding {
 public:
  VocabularyEmbedding(const nn::Table& table, const nn::Range& rows,
                      comm::Communicator& group)
      : table_(table), rows_(rows), group_(group) {}

  absl::StatusOr<Tensor> Forward(const Tensor& ids,
                                 const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    table_.VisitParameters(visit);
  }

 private:
  nn::Table table_;
  nn::Range rows_;
  comm::Communicator& group_;
};

// A head whose columns are divided among the group. The loss needs three
// numbers a token from each rank, and the logits are never gathered.
class VocabularyHead final : public nn::Head {
 public:
  // cap: of the logits; 0: none.
  VocabularyHead(const nn::Table& table, const nn::Range& rows,
                 comm::Communicator& group, double cap = 0)
      : table_(table), rows_(rows), group_(group), cap_(cap) {}

  absl::StatusOr<Tensor> Logits(const Tensor& x,
                                const nn::ForwardContext& context) override;
  void VisitParameters(const Visitor& visit) override {
    table_.VisitParameters(visit);
  }

 protected:
  absl::StatusOr<autograd::HeadInput> Part(
      const Tensor& x, const nn::ForwardContext& context) override;

 private:
  nn::Table table_;
  nn::Range rows_;
  comm::Communicator& group_;
  double cap_;
};

}  // namespace eisbach::parallel
