foreach(name calibrate collective_seconds constraints enumerate_layouts estimate
        forecast layout_bounds layout_memory least_squares measure op_seconds
        play ranking recompute_layers run_cost search seen timeline)
  eisbach_add_test(NAME plan_${name}_test SRC plan/${name}_test.cc)
endforeach()
