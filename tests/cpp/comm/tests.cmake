eisbach_add_test(NAME local_communicator_test
                 SRC comm/local/local_communicator_test.cc LABELS comm)
