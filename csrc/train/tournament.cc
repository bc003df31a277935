#include "train/tournament.h"

namespace eisbach::train {

int TournamentRounds(int n) {
  if (n < 2) return 0;
  return n % 2 == 0 ? n - 1 : n;
}

std::vector<int> TournamentPairs(int n, int round) {
  const int circle = TournamentRounds(n);  // players on it; odd
  std::vector<int> partner(n, -1);
  for (int a = 0; a < circle && a < n; ++a) {
    const int b = ((round - a) % circle + circle) % circle;
    if (b != a) {
      partner[a] = b;
    } else if (n % 2 == 0) {  // meets the one in the middle
      partner[a] = n - 1;
      partner[n - 1] = a;
    }
  }
  return partner;
}

}  // namespace eisbach::train
