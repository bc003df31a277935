foreach(name calibrate collective_seconds constraints enumerate_layouts estimate
        expert_work experts forecast layout_bounds layout_memory least_memory least_squares measure misfit
        mlp_roles op_seconds play ranking recompute_layers run_cost search seen timeline
        why_none)
  eisbach_add_test(NAME plan_${name}_test SRC plan/${name}_test.cc)
endforeach()
