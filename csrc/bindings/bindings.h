#pragma once

#include "bindings/define.h"

namespace eisbach::bindings {

// Each adds the classes and functions of one folder of csrc to the module; the
// file is called like the folder.
void BindErrors(CoreModule& m);
void BindCore(CoreModule& m);
void BindDevice(CoreModule& m);
void BindTensor(CoreModule& m);
void BindDlpack(CoreModule& m);
void BindAutograd(CoreModule& m);
void BindComm(CoreModule& m);
void BindWatch(CoreModule& m);
void BindNn(CoreModule& m);
void BindParallel(CoreModule& m);
void BindOptim(CoreModule& m);
void BindModels(CoreModule& m);
void BindData(CoreModule& m);
void BindCheckpoint(CoreModule& m);
void BindCheckpointContents(CoreModule& m);  // a part of checkpoint
void BindTrain(CoreModule& m);
void BindDecoder(CoreModule& m);       // a part of train
void BindUpdate(CoreModule& m);        // the same
void BindPreference(CoreModule& m);    // the same
void BindEngineConfig(CoreModule& m);  // the same
void BindResults(CoreModule& m);       // the same
void BindReference(CoreModule& m);     // the same
void BindProfile(CoreModule& m);       // the same
void BindSpikes(CoreModule& m);        // the same
void BindNetwork(CoreModule& m);       // the same
void BindPlan(CoreModule& m);
void BindHardware(CoreModule& m);  // a part of plan
void BindSearch(CoreModule& m);    // the same
void BindRunCost(CoreModule& m);   // the same
void BindTimeline(CoreModule& m);  // the same
void BindMeasure(CoreModule& m);   // the same
void BindExperts(CoreModule& m);   // the same

}  // namespace eisbach::bindings
