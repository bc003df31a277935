eisbach_add_test(NAME local_communicator_test
                 SRC comm/local/local_communicator_test.cc LABELS comm)
eisbach_add_test(NAME mpi_communicator_test
                 SRC comm/mpi/mpi_communicator_test.cc NP 1 2 3 4 8
                 LABELS comm)
