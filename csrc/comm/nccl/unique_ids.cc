#include "comm/nccl/unique_ids.h"

namespace eisbach::comm {

std::vector<int> RanksWithId(int size, int ranks_per_id) {
  const int ids = (size + ranks_per_id - 1) / ranks_per_id;
  std::vector<int> ranks;
  for (int i = 0, first = 0; i < ids; ++i) {
    ranks.push_back(first);
    first += size / ids + (i < size % ids ? 1 : 0);  // the first are longer
  }
  return ranks;
}

}  // namespace eisbach::comm
