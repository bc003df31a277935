#pragma once

#include <vector>

namespace eisbach::train {

// Rounds in which `n` players meet so that each pair meets once: n - 1, or n
// for an odd number, of whom one rests in each.
int TournamentRounds(int n);
// Whom each player meets in a round, -1 for the one that rests. The circle
// method (Kirkman 1847): a meets b in round (a + b) mod (m - 1), m even.
std::vector<int> TournamentPairs(int n, int round);

}  // namespace eisbach::train
