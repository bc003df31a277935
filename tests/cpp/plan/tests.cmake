foreach(name collective_seconds estimate forecast op_seconds play recompute_layers
        run_cost search)
  eisbach_add_test(NAME plan_${name}_test SRC plan/${name}_test.cc)
endforeach()
