eisbach_add_test(NAME mesh_test SRC parallel/mesh_test.cc)
