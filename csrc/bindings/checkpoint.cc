#include "bindings/bindings.h"

namespace eisbach::bindings {

void BindCheckpoint(pybind11::module_&) {}

}  // namespace eisbach::bindings
