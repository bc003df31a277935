#!/usr/bin/env bash
# Builds the C++ core and its tests with sanitizers and runs them.
#
#   scripts/test_sanitizers.sh address [...]   all tests, with the address,
#                                              leak and undefined-behaviour
#                                              sanitizers
#   scripts/test_sanitizers.sh thread [...]    what shares memory between
#                                              threads, with the thread
#                                              sanitizer
#
# Further arguments are ctest's. scripts/sanitizers names the leaks and races
# that are not ours.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-address}
[ $# -gt 0 ] && shift
rules="$PWD/scripts/sanitizers"
targets=()
flags="-O1 -DNDEBUG"
case "$kind" in
  address)
    sanitize="address;undefined"
    # GCC 12 lays the frames of that check 32 bytes apart, AVX-512 needs 64 (its
    # bug 110027).
    export ASAN_OPTIONS="detect_stack_use_after_return=0:allocator_may_return_null=1"
    export LSAN_OPTIONS="suppressions=$rules/leaks.txt:print_suppressions=0"
    export UBSAN_OPTIONS="print_stacktrace=1"
    ;;
  thread)
    sanitize="thread"
    targets=(world_test progress_test group_activity_test
             local_communicator_test local_world_test
             core_block_reader_test core_one_thread_test
             device_allocator_test device_host_streams_test device_tracer_test
             device_step_clock_test
             data_corpus_test data_data_loader_test
             parallel_data_reducer_test parallel_data_shard_reducer_test
             parallel_data_weight_gather_test parallel_data_weight_window_test
             parallel_data_matrix_work_test parallel_collectives_test
             parallel_context_attention_test
             checkpoint_agree_test checkpoint_check_file_test
             checkpoint_gather_test
             checkpoint_save_test checkpoint_saver_test
             checkpoint_resume_test
             models_decoder_test
             train_adapters_test train_average_test train_clock_offset_test
             train_context_test train_documents_test train_engine_test
             train_layouts_pairs_test train_link_check_test train_link_watch_test
             train_preference_test train_rank_trace_test
             train_replicas_test train_requests_test train_same_bits_test
             train_spikes_test train_step_times_test train_token_rows_test
             train_zero_test)
    # Races are the same in every vector width: one of them is built.
    [ "$(uname -m)" = x86_64 ] &&
      flags="$flags -march=haswell -DHWY_COMPILE_ONLY_STATIC"
    # The sanitizer does not see the barriers of libgomp: one thread a rank, and
    # no core_threads_test, which is about its teams.
    export OMP_NUM_THREADS=1
    # UCX, which Open MPI loads, puts itself before madvise; the sanitizer
    # falls over it when a thread ends.
    export UCX_MEM_EVENTS=no UCX_MEM_MMAP_HOOK_MODE=none
    export TSAN_OPTIONS="second_deadlock_stack=1:allocator_may_return_null=1:suppressions=$rules/races.txt:print_suppressions=0"
    ;;
  *)
    echo "test_sanitizers.sh: unknown argument $kind; there are address and" \
         "thread" >&2
    exit 2 ;;
esac

if [ -z "${VIRTUAL_ENV:-}" ]; then
  scripts/setup.sh --test
  # shellcheck disable=SC1091
  source .venv/bin/activate
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros

build="build/$kind"
cmake -S . -B "$build" -G Ninja -DEISBACH_BUILD_TESTS=ON \
  -DEISBACH_BUILD_PYTHON=OFF -DEISBACH_UNITY=ON \
  -DEISBACH_SANITIZE="$sanitize" \
  -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="$flags"
ninja -C "$build" "${targets[@]}"

only=()
if [ ${#targets[@]} -gt 0 ]; then
  only=(-R "^($(IFS='|'; echo "${targets[*]}"))(_part[0-9]+)?\$")
fi
ctest --test-dir "$build" -j2 --output-on-failure "${only[@]}" "$@"
