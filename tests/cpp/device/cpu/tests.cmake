eisbach_add_test(NAME device_cpu_reduce_test SRC device/cpu/reduce_test.cc
                 LABELS device)
