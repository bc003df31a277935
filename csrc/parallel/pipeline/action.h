#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace eisbach::parallel {

enum class ActionKind : uint8_t {
  kForward,
  kBackward,        // gradients of the input and of the weights
  kBackwardInput,   // gradient of the input alone ...
  kBackwardWeight,  // ... and those of the weights, left for later
  kExchange,        // transfers with neighbouring stages, one grouped call
  kReduce,          // all gradients of the chunk are there: reduce what is left
};

// "forward", "backward", "backward_input", ...
absl::string_view Name(ActionKind kind);
char Letter(ActionKind kind);  // F, B, I, W, X, R

enum class Payload : uint8_t { kActivation, kGradient };
enum class Direction : uint8_t { kSend, kReceive };

// One side of a transfer between stages. (direction, payload, microbatch,
// chunk) is its identity on a stage: it occurs once in the stage's list.
struct StageTransfer {
  Direction direction;
  Payload payload;
  int microbatch;
  int chunk;  // of this stage: the one that made it or that needs it
  int peer;   // the other stage

  friend bool operator==(const StageTransfer&, const StageTransfer&) = default;
};

// One entry of a stage's list.
//
// An exchange is started when the list reaches it and runs behind the actions
// that follow. Exchanges of a stage run one after another, in list order. A
// forward or backward waits for the exchange that holds what it receives and
// for nothing else; what an exchange sends was made by earlier actions.
struct Action {
  ActionKind kind;
  int microbatch = -1;                   // of a forward or backward
  int chunk = 0;                         // which of the stage's model chunks
  std::vector<StageTransfer> transfers;  // of an exchange, never empty there

  friend bool operator==(const Action&, const Action&) = default;
};

using ActionList = std::vector<Action>;

// "F3", "B3", "I3", "W3", "R", with ".chunk" behind when it is not 0, and
// "{a3>1 g2<1}": send activation 3 to stage 1, receive gradient 2 from it.
std::string ToString(const Action& action);
std::string ToString(const StageTransfer& transfer);

}  // namespace eisbach::parallel
