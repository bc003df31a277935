eisbach_add_test(NAME nn_linear_test SRC nn/linear_test.cc)
eisbach_add_test(NAME nn_lora_test SRC nn/lora_test.cc)
eisbach_add_test(NAME nn_token_rows_test SRC nn/token_rows_test.cc)
eisbach_add_test(NAME nn_block_test SRC nn/block_test.cc HOT)
