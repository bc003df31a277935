eisbach_add_test(NAME models_config_test SRC models/config_test.cc)
eisbach_add_test(NAME models_families_test SRC models/families_test.cc)
eisbach_add_test(NAME models_transformer_test SRC models/transformer_test.cc)
eisbach_add_test(NAME models_generate_test SRC models/generate_test.cc)
