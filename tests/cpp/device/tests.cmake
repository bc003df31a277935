# Every device/x_test.cc is the program device_x_test.
file(GLOB device_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     device/*_test.cc)
foreach(source IN LISTS device_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME device_${stem} SRC ${source} LABELS device)
endforeach()
# The emulation of a GPU, also under the sanitizers, and the double of the CUDA
# runtime.
function(eisbach_add_gpu_test name source gpu)
  eisbach_add_test(NAME ${name} SRC device/cuda/${source} LABELS cuda
                   ALONE)
  target_link_libraries(${name} PRIVATE ${gpu})
  set_target_properties(${name} PROPERTIES DISABLE_PRECOMPILE_HEADERS ON)
  set_tests_properties(${name} PROPERTIES
    ENVIRONMENT "${EISBACH_EMULATED_GPU};ASAN_OPTIONS=detect_leaks=0")
endfunction()
if(EISBACH_CUDA_EMULATION)
  eisbach_add_gpu_test(device_cuda_streams_test streams_test.cc
                       eisbach_cuda_emulated)
  eisbach_add_gpu_test(device_cuda_trace_test trace_test.cc
                       eisbach_cuda_emulated)
  eisbach_add_gpu_test(device_cuda_captured_work_test captured_work_test.cc
                       eisbach_cuda_emulated)
  set_property(TEST device_cuda_captured_work_test APPEND PROPERTY
               ENVIRONMENT EISBACH_NO_CACHING_ALLOCATOR=0)
  eisbach_add_gpu_test(device_cuda_step_clock_test cuda_step_clock_test.cc
                       eisbach_cuda_emulated)
  set_property(TEST device_cuda_step_clock_test APPEND PROPERTY
               ENVIRONMENT EISBACH_NO_CACHING_ALLOCATOR=0)
  eisbach_add_gpu_test(device_cuda_emulation_test emulation_test.cc
                       eisbach_cuda_emulated)
  if(TARGET eisbach_cuda_asan)
    foreach(sanitizer IN ITEMS asan tsan)
      eisbach_add_gpu_test(device_cuda_emulation_test_${sanitizer}
                           emulation_test.cc eisbach_cuda_${sanitizer})
    endforeach()
  endif()
  eisbach_add_test(NAME device_cuda_location_test
                   SRC device/cuda/location_test.cc LABELS cuda)
  add_dependencies(device_cuda_location_test eisbach_cuda_emulated)
  set_tests_properties(device_cuda_location_test PROPERTIES
                       ENVIRONMENT "${EISBACH_EMULATED_GPU}")
endif()
