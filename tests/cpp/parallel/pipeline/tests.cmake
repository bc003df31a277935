eisbach_add_test(NAME schedule_test SRC parallel/pipeline/schedule_test.cc)
eisbach_add_test(NAME check_schedule_test
                 SRC parallel/pipeline/check_schedule_test.cc)
eisbach_add_test(NAME simulate_test SRC parallel/pipeline/simulate_test.cc)
eisbach_add_test(NAME partition_test SRC parallel/pipeline/partition_test.cc)
