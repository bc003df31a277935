#pragma once

#include <pybind11/pybind11.h>

namespace eisbach::bindings {

// Each adds the classes and functions of one folder of csrc to the module; the
// file is called like the folder.
void BindErrors(pybind11::module_& m);
void BindCore(pybind11::module_& m);
void BindDevice(pybind11::module_& m);
void BindTensor(pybind11::module_& m);
void BindDlpack(pybind11::module_& m);
void BindAutograd(pybind11::module_& m);
void BindComm(pybind11::module_& m);
void BindNn(pybind11::module_& m);
void BindParallel(pybind11::module_& m);
void BindOptim(pybind11::module_& m);
void BindModels(pybind11::module_& m);
void BindData(pybind11::module_& m);
void BindCheckpoint(pybind11::module_& m);
void BindTrain(pybind11::module_& m);
void BindUpdate(pybind11::module_& m);   // a part of train
void BindProfile(pybind11::module_& m);  // the same
void BindNetwork(pybind11::module_& m);  // the same
void BindPlan(pybind11::module_& m);

}  // namespace eisbach::bindings
