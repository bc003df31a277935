# Every device/x_test.cc is the program device_x_test.
file(GLOB device_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     device/*_test.cc)
foreach(source IN LISTS device_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME device_${stem} SRC ${source} LABELS device)
endforeach()
