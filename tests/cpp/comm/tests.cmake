eisbach_add_test(NAME launcher_test SRC comm/launcher_test.cc LABELS comm)
eisbach_add_test(NAME progress_test SRC comm/progress_test.cc LABELS comm)
eisbach_add_test(NAME sim_world_test SRC comm/sim/sim_world_test.cc
                 LABELS comm)
eisbach_add_test(NAME local_communicator_test
                 SRC comm/local/local_communicator_test.cc LABELS comm)
eisbach_add_test(NAME local_world_test SRC comm/local/local_world_test.cc
                 LABELS comm)
eisbach_add_test(NAME mpi_communicator_test
                 SRC comm/mpi/mpi_communicator_test.cc NP 1 2 3 4 8
                 LABELS comm)
