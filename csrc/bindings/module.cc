#include "bindings/bindings.h"

// Base classes and argument types come before what uses them, so that
// signatures name Python types.
PYBIND11_MODULE(_C, m) {
  namespace bindings = eisbach::bindings;
  m.doc() = "The core of Eisbach: see docs/python-api.md.";
  bindings::BindErrors(m);
  bindings::BindCore(m);
  bindings::BindDevice(m);
  bindings::BindTensor(m);
  bindings::BindDlpack(m);
  bindings::BindComm(m);
  bindings::BindParallel(m);
  bindings::BindNn(m);
  bindings::BindAutograd(m);
  bindings::BindOptim(m);
  bindings::BindModels(m);
  bindings::BindData(m);
  bindings::BindCheckpoint(m);
  bindings::BindTrain(m);
  bindings::BindPlan(m);
}
