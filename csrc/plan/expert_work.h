#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/mesh.h"
#include "plan/experts.h"
#include "plan/record.h"
#include "train/engine.h"

namespace eisbach::plan {

// What a rank is given that has experts, where `record` is what it is given of
// the dense model in their place (DenseOf). With T tokens of the rank between
// projections, R = T per_token copies of them and g experts on the rank, all of
// which the router is taken to choose alike, in every layer:
//
// - each product of an MLP becomes one of what is shared, where anything is,
//   and g products of R / g rows in one kernel (Gale et al., "MegaBlocks",
//   arXiv:2211.15841), whose tiles are computed together (op_seconds.h);
// - before them come the router, T x hidden x count in f32, the choice of the
//   per_token best, a copy of each token for each of its experts, and, where
//   ranks divide experts, an all-to-all of R x hidden, of which
//   (ranks - 1) / ranks travel, and the order of experts from that of ranks;
//   behind them the same the other way round, and the sum of the copies. In
//   backward, gradients go both ways again (Lepikhin et al., "GShard",
//   arXiv:2006.16668, section 3);
// - what tensor ranks exchange around an MLP is there for what is shared alone;
// - backward needs the copies that came: R x hidden more are kept, and at most
//   two more of that size are there at a time;
// - what ranks that see other samples sum up and gather is divided between
//   them, for what is not experts, and those that have the same experts; what
//   is done once a step grows with the weights that the rank updates.
//
// `experts` are some. Nothing runs beside an all-to-all. InvalidArgument where
// tensor ranks do not divide tokens.
absl::StatusOr<WorkRecord> WithExperts(const WorkRecord& record,
                                       const train::EngineConfig& dense,
                                       const parallel::Mesh& mesh,
                                       const Experts& experts);

}  // namespace eisbach::plan
