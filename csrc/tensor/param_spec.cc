#include "tensor/param_spec.h"

#include <utility>

namespace eisbach {

ParamSpec WholeParam(std::string name, const Shape& shape, Init init,
                     bool decay) {
  LogicalSlice slice;
  slice.name = name;
  slice.shape = shape;
  slice.start = shape;
  for (int i = 0; i < shape.rank(); ++i) slice.start.Set(i, 0);
  slice.extent = shape;
  ParamSpec spec;
  spec.name = std::move(name);
  spec.shape = shape;
  spec.slices.push_back(std::move(slice));
  spec.init = init;
  spec.decay = decay;
  return spec;
}

int64_t SliceElements(const LogicalSlice& slice) {
  return slice.extent.elements();
}

int64_t SliceOffset(const ParamSpec& spec, const LogicalSlice& slice) {
  const int64_t width = spec.shape.rank() > 1 ? spec.shape[1] : 1;
  return slice.local_row * width;
}

}  // namespace eisbach
