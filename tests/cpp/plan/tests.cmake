eisbach_add_test(NAME plan_estimate_test SRC plan/estimate_test.cc)
