eisbach_add_test(NAME device_cpu_reduce_test SRC device/cpu/reduce_test.cc
                 LABELS device)
eisbach_add_test(NAME device_cpu_copy_test SRC device/cpu/copy_test.cc
                 LABELS device)
