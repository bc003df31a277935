#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "comm/communicator.h"
#include "tensor/flat_buffer.h"

namespace eisbach::parallel {

// How the ranks that see other samples, or other tokens of them, divide what
// they would else all hold (ZeRO).
struct ZeroConfig {
  int zero = 0;              // see Division
  int group = 0;             // neighbours that divide it; 0: all
  int prefetch = 1;          // see WeightWindow
  DType wire = DType::kF32;  // see ShardReducer
};

// The ranks of a data x context group that divide buckets among them, and those
// that hold the same part: one in each group of neighbours (hybrid sharding).
class DivisionGroups {
 public:
  // Whether `config` fits a data x context group of `ranks`; messages name the
  // key.
  static absl::Status Validate(const ZeroConfig& config, int ranks);

  // `config` is valid; `data` outlives the groups. Collective over it.
  static absl::StatusOr<DivisionGroups> Make(const ZeroConfig& config,
                                             comm::Communicator& data);

  const Division& division() const { return division_; }
  // Whether anything is divided.
  bool divides() const { return division_.zero > 0 && division_.parts > 1; }
  comm::Communicator& inside() const {
    return inside_ == nullptr ? *data_ : *inside_;
  }
  // Null where there is one group.
  comm::Communicator* replicas() const { return replicas_.get(); }
  // Of the groups, the one in which this rank is.
  int replica() const { return replicas_ == nullptr ? 0 : replicas_->rank(); }

 private:
  DivisionGroups() = default;

  Division division_;
  comm::Communicator* data_ = nullptr;
  std::unique_ptr<comm::Communicator> inside_, replicas_;
};

}  // namespace eisbach::parallel
