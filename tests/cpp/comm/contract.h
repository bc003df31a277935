#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "comm/world.h"

// What every communicator backend must do, as functions that each rank of a
// world runs. A check returns the first difference from the expected result.
namespace eisbach::comm {

struct ContractCheck {
  std::string name;
  std::function<absl::Status(World&)> body;
};

}  // namespace eisbach::comm

#include "cpp/comm/contract_agreement.h"
#include "cpp/comm/contract_async.h"
#include "cpp/comm/contract_collectives.h"
#include "cpp/comm/contract_errors.h"
#include "cpp/comm/contract_exchange.h"
#include "cpp/comm/contract_groups.h"
#include "cpp/comm/contract_trace.h"

namespace eisbach::comm {

inline std::vector<ContractCheck> ContractChecks() {
  return {
      {"AllReduce", contract::AllReduce},
      {"AllReduceIsInRankOrder", contract::AllReduceIsInRankOrder},
      {"AllGather", contract::AllGather},
      {"ReduceScatter", contract::ReduceScatter},
      {"Broadcast", contract::Broadcast},
      {"AllToAll", contract::AllToAll},
      {"AllToAllV", contract::AllToAllV},
      {"LongTensors", contract::LongTensors},
      {"InPlace", contract::InPlace},
      {"Barrier", contract::Barrier},
      {"ExchangeRing", contract::ExchangeRing},
      {"ExchangePairsInBothOrders", contract::ExchangePairsInBothOrders},
      {"ExchangeSeveral", contract::ExchangeSeveral},
      {"ExchangeSelf", contract::ExchangeSelf},
      {"ExchangeAnswers", contract::ExchangeAnswers},
      {"ExchangeOfPairsOnly", contract::ExchangeOfPairsOnly},
      {"Split", contract::SplitGroups},
      {"SplitLeavesOut", contract::SplitLeavesOut},
      {"Subgroup", contract::Subgroups},
      {"GroupsOfGroups", contract::GroupsOfGroups},
      {"AsyncOverlap", contract::AsyncOverlap},
      {"AsyncChain", contract::AsyncChain},
      {"AsyncPoll", contract::AsyncPoll},
      {"AsyncWithInline", contract::AsyncWithInline},
      {"ManyInFlight", contract::ManyInFlight},
      {"Stats", contract::Stats},
      {"TracesCalls", contract::TracesCalls},
      {"TracesNoWaitForWhatIsDone", contract::TracesNoWaitForWhatIsDone},
      {"BadArguments", contract::BadArguments},
      {"DifferentCollectives", contract::DifferentCollectives},
      {"DifferentCounts", contract::DifferentCounts},
      {"DifferentTransfers", contract::DifferentTransfers},
  };
}

}  // namespace eisbach::comm
