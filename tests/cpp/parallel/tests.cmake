eisbach_add_test(NAME mesh_test SRC parallel/mesh_test.cc)
eisbach_add_test(NAME topology_test SRC parallel/topology_test.cc)
