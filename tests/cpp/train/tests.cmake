eisbach_add_test(NAME train_layouts_test SRC train/layouts_test.cc)
