# eisbach_add_test(NAME name SRC file [NP n ...] [LABELS l ...])
#
# Builds one GoogleTest program from tests/cpp/<file>. Without NP it runs as a
# plain process; with NP it is registered once for each n as `mpirun -np n`
# (name_npN, label mpi). MPI tests bring their own main (support/mpi_main.cc).
function(eisbach_add_test)
  cmake_parse_arguments(T "" "NAME;SRC" "NP;LABELS" ${ARGN})
  add_executable(${T_NAME} ${T_SRC})
  target_link_libraries(${T_NAME} PRIVATE eisbach eisbach_test_support
                        GTest::gtest GTest::gmock)
  if(NOT T_NP)
    target_link_libraries(${T_NAME} PRIVATE GTest::gtest_main)
    add_test(NAME ${T_NAME} COMMAND ${T_NAME})
    set_tests_properties(${T_NAME} PROPERTIES TIMEOUT 300
                         LABELS "unit;${T_LABELS}")
    return()
  endif()
  target_sources(${T_NAME} PRIVATE
                 ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cc)
  foreach(np IN LISTS T_NP)
    add_test(NAME ${T_NAME}_np${np}
             COMMAND ${EISBACH_MPIRUN} --allow-run-as-root --oversubscribe
                     --bind-to none -np ${np} $<TARGET_FILE:${T_NAME}>
                     --expect_ranks=${np})
    set_tests_properties(${T_NAME}_np${np} PROPERTIES TIMEOUT 300
                         LABELS "mpi;${T_LABELS}" PROCESSORS 2)
  endforeach()
endfunction()
