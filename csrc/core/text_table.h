#pragma once

#include <string>
#include <vector>

namespace eisbach {

// Rows of cells as lines of text, columns aligned to the left and two spaces
// apart and from the margin. All rows have as many cells; none trails spaces.
std::string TextTable(const std::vector<std::vector<std::string>>& rows);

}  // namespace eisbach
