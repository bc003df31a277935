#include "parallel/data/division_text.h"

#include "absl/strings/str_cat.h"

namespace eisbach::parallel {

std::string DivisionText(const DivisionGroups& groups, int micro_batches) {
  if (!groups.divides()) return "";
  const Division& division = groups.division();
  std::string text = absl::StrCat(
      "zero=", division.zero, ": ", division.parts, " ranks of data x context",
      groups.replicas() == nullptr ? "" : " of each group of neighbours",
      " divide optimizer state and f32 masters");
  if (division.zero >= 2) absl::StrAppend(&text, ", gradients");
  if (division.zero >= 3) absl::StrAppend(&text, ", weights");
  if (division.zero >= 2 && micro_batches > 1) {
    absl::StrAppend(&text, "; gradients are summed over ranks in each of the ",
                    micro_batches, " micro-batches");
  }
  return text;
}

}  // namespace eisbach::parallel
