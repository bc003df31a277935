#include "bindings/bindings.h"

// Base classes and argument types come before what uses them, so that
// signatures name Python types.
PYBIND11_MODULE(_C, m) {
  namespace bindings = eisbach::bindings;
  bindings::CoreModule core(m);
  m.doc() = "The core of Eisbach: see docs/python-api.md.";
  bindings::BindErrors(core);
  bindings::BindCore(core);
  bindings::BindDevice(core);
  bindings::BindTensor(core);
  bindings::BindDlpack(core);
  bindings::BindComm(core);
  bindings::BindWatch(core);
  bindings::BindParallel(core);
  bindings::BindNn(core);
  bindings::BindAutograd(core);
  bindings::BindOptim(core);
  bindings::BindModels(core);
  bindings::BindData(core);
  bindings::BindCheckpoint(core);
  bindings::BindTrain(core);
  bindings::BindPlan(core);
}
