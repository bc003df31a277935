# Every ops/x_test.cc is the program ops_x_test.
file(GLOB op_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     ops/*_test.cc)
foreach(source IN LISTS op_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME ops_${stem} SRC ${source} LABELS ops HOT)
endforeach()
eisbach_test_with_few_threads(ops_matmul_test)
# These tell Highway which instruction set to choose.
foreach(test IN ITEMS targets_test attention_targets_test)
  eisbach_add_test(NAME ops_cpu_${test} SRC ops/cpu/${test}.cc LABELS ops
                   ALONE)
  target_link_libraries(ops_cpu_${test} PRIVATE eisbach::hwy)
endforeach()
eisbach_add_test(NAME ops_cpu_matmul_choice_test
                 SRC ops/cpu/matmul_choice_test.cc LABELS ops)
if(EISBACH_WITH_ONEDNN AND NOT EISBACH_WITH_OPENBLAS)
  eisbach_add_test(NAME ops_cpu_onednn_primitives_test
                   SRC ops/cpu/onednn_primitives_test.cc LABELS ops
                   ALONE HOT)
  target_link_libraries(ops_cpu_onednn_primitives_test PRIVATE eisbach::onednn)
  # Up to what this CPU has.
  foreach(isa IN ITEMS AVX2 AVX512_CORE AVX512_CORE_BF16 AVX512_CORE_FP16)
    add_test(NAME ops_cpu_onednn_primitives_test_${isa}
             COMMAND ops_cpu_onednn_primitives_test)
    set_tests_properties(ops_cpu_onednn_primitives_test_${isa} PROPERTIES
      TIMEOUT ${EISBACH_TEST_TIMEOUT} LABELS unit
      ENVIRONMENT ONEDNN_MAX_CPU_ISA=${isa})
  endforeach()
endif()
# The kernels of the GPU against the same references.
foreach(test IN ITEMS activation_test attention_options_test attention_part_test attention_test
        cached_attention_test copy_test cross_entropy_test document_starts_test
        dropout_test elementwise_test embedding_test fingerprint_test
        head_norm_test ids_test loss_scale_test matmul_test norm_test
        optimizer_test preference_test reduce_test rope_test softcap_test softmax_test
        spike_test stochastic_rounding_test update_rules_test xielu_test)
  eisbach_test_on_cuda(ops_${test})
endforeach()
if(EISBACH_CUDA_EMULATION)
  eisbach_add_test(NAME ops_cuda_attention_choice_test
                   SRC ops/cuda/attention_choice_test.cc LABELS ops)
  add_dependencies(ops_cuda_attention_choice_test eisbach_cuda_emulated)
  set_tests_properties(ops_cuda_attention_choice_test PROPERTIES
    LABELS "unit;cuda" ENVIRONMENT "${EISBACH_EMULATED_GPU}")
endif()
# Kernels beyond 2^32 elements, by their launchers. The emulator of a processor
# is slow to reserve so many addresses.
if(EISBACH_CUDA_EMULATION AND NOT CMAKE_CROSSCOMPILING)
  eisbach_add_test(NAME ops_cuda_wide_test SRC ops/cuda/wide_test.cc ALONE)
  set_target_properties(ops_cuda_wide_test PROPERTIES
                        DISABLE_PRECOMPILE_HEADERS ON)
  target_link_libraries(ops_cuda_wide_test PRIVATE eisbach_cuda_emulated)
  target_compile_definitions(ops_cuda_wide_test PRIVATE
    EISBACH_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
  set_tests_properties(ops_cuda_wide_test PROPERTIES LABELS "unit;cuda"
                       ENVIRONMENT "${EISBACH_EMULATED_GPU}")
endif()
# The memory traffic of the kernels against the least that an op needs.
if(TARGET eisbach_cuda_traffic)
  eisbach_add_test(NAME ops_cuda_traffic_test SRC ops/cuda/traffic_test.cc
                   ALONE)
  set_target_properties(ops_cuda_traffic_test PROPERTIES
                        DISABLE_PRECOMPILE_HEADERS ON)
  target_link_libraries(ops_cuda_traffic_test PRIVATE eisbach_cuda_traffic)
  set_tests_properties(ops_cuda_traffic_test PROPERTIES LABELS cuda
    ENVIRONMENT "EISBACH_TEST_DEVICE=cuda;EISBACH_CUDA_LIBRARY=$<TARGET_FILE:eisbach_cuda_traffic>")
endif()
# What cuDNN computes on which GPU, on machines without any: a test a GPU.
if(EISBACH_CUDA AND NOT CMAKE_CROSSCOMPILING)
  eisbach_add_test(NAME ops_cuda_cudnn_plans_test
                   SRC ops/cuda/cudnn_plans_test.cc LABELS ops ALONE
                   ARGS --gtest_filter=CudnnAttentionPlanTest.*)
  target_link_libraries(ops_cuda_cudnn_plans_test PRIVATE eisbach_cudnn_plans)
  target_compile_definitions(ops_cuda_cudnn_plans_test PRIVATE
    EISBACH_GOLDEN="${PROJECT_SOURCE_DIR}/tests/golden")
  set(stub ${PROJECT_BINARY_DIR}/stub_driver)
  add_custom_command(OUTPUT ${stub}/driver.cc
    COMMAND ${CMAKE_COMMAND} -E make_directory ${stub}
    COMMAND ${Python_EXECUTABLE}
            ${PROJECT_SOURCE_DIR}/tests/support/cuda/stub_driver.py
            ${EISBACH_CUDART_INCLUDE}/cuda.h ${stub}/driver.cc
    DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/cuda/stub_driver.py)
  add_library(eisbach_stub_driver SHARED ${stub}/driver.cc)
  set_target_properties(eisbach_stub_driver PROPERTIES
    OUTPUT_NAME cuda SOVERSION 1 LIBRARY_OUTPUT_DIRECTORY ${stub})
  add_dependencies(ops_cuda_cudnn_plans_test eisbach_stub_driver)
  foreach(gpu IN ITEMS a100 gb200 gb300 h100 rtx_pro_6000)
    add_test(NAME ops_cuda_cudnn_plans_${gpu}
             COMMAND ops_cuda_cudnn_plans_test
                     --gtest_filter=*CudnnPlansTest*/${gpu})
    set_tests_properties(ops_cuda_cudnn_plans_${gpu} PROPERTIES
      TIMEOUT ${EISBACH_TEST_TIMEOUT} LABELS "unit;cuda"
      ENVIRONMENT LD_LIBRARY_PATH=${stub})
  endforeach()
endif()
