#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "train/link_check.h"
#include "watch/slow_network.h"

namespace eisbach::train {

// Something is slow when it takes so many times as long as it is held against.
inline constexpr double kSlowLinkFactor = 2.0;
// Of messages also by so much: what the system's scheduler may add to each.
inline constexpr double kSlowMessageSeconds = 1e-4;
// Of bytes through a host's memory also by so much a megabyte: other programs
// use it, too.
inline constexpr double kSlowMegabyteSeconds = 2e-3;

// A link and what it had before.
struct LinkChange {
  LinkReading now, before;

  // How many times as long the worse of its two figures takes; below 1 when
  // both are better. Messages count where they take kSlowMessageSeconds longer,
  // bytes through a host's memory where they take kSlowMegabyteSeconds longer.
  double factor() const;
  // Of bytes alone, whether they count or not.
  double bytes_factor() const { return before.gigabytes / now.gigabytes; }
  bool slow() const { return factor() >= kSlowLinkFactor; }
};

// Of two measurements of the same links in the same order.
std::vector<LinkReading> BetterReadings(absl::Span<const LinkReading> one,
                                        absl::Span<const LinkReading> other);

// Of the same links in the same order, the worst first; of alike factors the
// one whose bytes take longest by what they took.
std::vector<LinkChange> LinkChanges(absl::Span<const LinkReading> before,
                                    absl::Span<const LinkReading> now);

// Lines on links between hosts that bytes take long on, by the median of their
// ring, which has at least three. `hosts` by rank.
std::vector<std::string> SlowFromTheStart(absl::Span<const LinkReading> links,
                                          absl::Span<const std::string> hosts);

// "the link between rank 1 (node1) and rank 2 (node2), of data, is slow since
// step 120: 0.05 GB/s and 0.3 ms, where it had 0.9 GB/s and 0.1 ms; ranks wait
// 0.4 s longer in each step, most in reducing gradients"; of `changes`, the
// worst first, of which there is one. Says how many have suffered as much, and
// on which host all of them have a rank; where none is slow, what the worst
// has.
std::string DelayText(const watch::NetworkDelay& delay,
                      absl::Span<const LinkChange> changes,
                      absl::Span<const std::string> hosts);
// Of a delay that is over.
std::string DelayOverText(const watch::NetworkDelay& delay,
                          absl::Span<const LinkChange> changes,
                          absl::Span<const std::string> hosts);

}  // namespace eisbach::train
