# Every device/x_test.cc is the program device_x_test.
file(GLOB device_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     device/*_test.cc)
foreach(source IN LISTS device_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME device_${stem} SRC ${source} LABELS device)
endforeach()
if(EISBACH_CUDA_EMULATION)
  eisbach_add_test(NAME device_cuda_location_test
                   SRC device/cuda/location_test.cc LABELS cuda)
  add_dependencies(device_cuda_location_test eisbach_cuda_emulated)
  set_tests_properties(device_cuda_location_test PROPERTIES
                       ENVIRONMENT "${EISBACH_EMULATED_GPU}")
endif()
