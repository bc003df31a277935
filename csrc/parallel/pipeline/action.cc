#include "parallel/pipeline/action.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace eisbach::parallel {
namespace {

std::string ChunkText(int chunk) {
  return chunk == 0 ? "" : absl::StrCat(".", chunk);
}

}  // namespace

char Letter(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return 'F';
    case ActionKind::kBackward:
      return 'B';
    case ActionKind::kBackwardInput:
      return 'I';
    case ActionKind::kBackwardWeight:
      return 'W';
    case ActionKind::kReduce:
      return 'R';
    case ActionKind::kExchange:
      break;
  }
  return 'X';
}

absl::string_view Name(ActionKind kind) {
  switch (kind) {
    case ActionKind::kForward:
      return "forward";
    case ActionKind::kBackward:
      return "backward";
    case ActionKind::kBackwardInput:
      return "backward_input";
    case ActionKind::kBackwardWeight:
      return "backward_weight";
    case ActionKind::kExchange:
      return "exchange";
    case ActionKind::kReduce:
      return "reduce";
  }
  return "?";
}

std::string ToString(const StageTransfer& transfer) {
  return absl::StrCat(transfer.payload == Payload::kActivation ? "a" : "g",
                      transfer.microbatch, ChunkText(transfer.chunk),
                      transfer.direction == Direction::kSend ? ">" : "<",
                      transfer.peer);
}

std::string ToString(const Action& action) {
  if (action.kind == ActionKind::kExchange) {
    const auto append = [](std::string* out, const StageTransfer& transfer) {
      absl::StrAppend(out, ToString(transfer));
    };
    return absl::StrCat("{", absl::StrJoin(action.transfers, " ", append), "}");
  }
  std::string text(1, Letter(action.kind));
  if (action.microbatch >= 0) absl::StrAppend(&text, action.microbatch);
  return absl::StrCat(text, ChunkText(action.chunk));
}

}  // namespace eisbach::parallel
