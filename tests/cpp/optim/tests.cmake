# Every optim/x_test.cc is the program optim_x_test.
file(GLOB optim_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     optim/*_test.cc)
foreach(source IN LISTS optim_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME optim_${stem} SRC ${source} LABELS optim)
endforeach()
