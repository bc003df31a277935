eisbach_add_test(NAME mesh_test SRC parallel/mesh_test.cc)
eisbach_add_test(NAME topology_test SRC parallel/topology_test.cc)
foreach(name attention method zigzag)
  eisbach_add_test(NAME parallel_context_${name}_test
                   SRC parallel/context/${name}_test.cc HOT)
endforeach()
