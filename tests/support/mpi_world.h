#pragma once

#include "comm/world.h"

namespace eisbach {

// The world of a test program that runs under mpirun (support/mpi_main.cc).
comm::World& TestWorld();

}  // namespace eisbach
