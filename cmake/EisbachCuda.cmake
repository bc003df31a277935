# Finds what the CUDA plug-in links to: NVIDIA's wheels of the building
# environment first, then a system toolkit. The wheels carry no libX.so, so the
# soname is the file to find. In a cross build the compiler and the headers, the
# same for every processor, are this machine's, and the libraries those of
# EISBACH_CUDA_ROOT.
#
# Defines: eisbach::cuda_headers (CUDA, cuBLASLt, NCCL: all that the emulation
# needs), and with EISBACH_CUDA: eisbach::{cudart,cublaslt,nccl,nvrtc,cudnn}.

set(EISBACH_NVIDIA_DIRS)
foreach(prefix IN LISTS EISBACH_HINTS)
  file(GLOB found ${prefix}/lib/python3*/site-packages/nvidia)
  list(APPEND EISBACH_NVIDIA_DIRS ${found})
endforeach()
list(REMOVE_DUPLICATES EISBACH_NVIDIA_DIRS)
set(EISBACH_CUDA_ROOT "" CACHE PATH "A CUDA 13 toolkit, or several folders with
    include or lib; empty: the wheels, then /usr/local/cuda")

set(_roots ${EISBACH_CUDA_ROOT})
foreach(dir IN LISTS EISBACH_NVIDIA_DIRS)
  list(APPEND _roots ${dir}/cu13 ${dir}/nccl ${dir}/cudnn)
endforeach()
list(APPEND _roots /usr/local/cuda)

function(eisbach_find_cuda variable header package)
  find_path(${variable} ${header} HINTS ${_roots}
            PATH_SUFFIXES include NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  find_path(${variable} ${header})
  if(NOT ${variable})
    message(FATAL_ERROR "${header} is not there: pip install '${package}', or "
                        "name a toolkit by -DEISBACH_CUDA_ROOT=DIR")
  endif()
endfunction()
eisbach_find_cuda(EISBACH_CUDART_INCLUDE cuda_runtime_api.h
                  nvidia-cuda-runtime==13.0.*)
eisbach_find_cuda(EISBACH_CRT_INCLUDE crt/host_config.h nvidia-cuda-crt==13.0.*)
eisbach_find_cuda(EISBACH_CUBLASLT_INCLUDE cublasLt.h nvidia-cublas)
eisbach_find_cuda(EISBACH_NCCL_INCLUDE nccl.h nvidia-nccl-cu13)
eisbach_find_cuda(EISBACH_NVML_INCLUDE nvml.h nvidia-nvml-dev==13.0.*)
add_library(eisbach_cuda_headers INTERFACE)
set(_includes ${EISBACH_CUDART_INCLUDE} ${EISBACH_CRT_INCLUDE}
    ${EISBACH_CUBLASLT_INCLUDE} ${EISBACH_NCCL_INCLUDE}
    ${EISBACH_NVML_INCLUDE})
list(REMOVE_DUPLICATES _includes)
target_include_directories(eisbach_cuda_headers SYSTEM INTERFACE ${_includes})
add_library(eisbach::cuda_headers ALIAS eisbach_cuda_headers)

if(NOT EISBACH_CUDA)
  return()
endif()

function(eisbach_cuda_library name soname package)
  string(TOUPPER EISBACH_${name}_LIBRARY variable)
  if(CMAKE_CROSSCOMPILING)
    find_library(${variable} NAMES ${soname} HINTS ${EISBACH_CUDA_ROOT}
                 PATH_SUFFIXES lib lib64
                 NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  else()
    find_library(${variable} NAMES ${soname} HINTS ${_roots}
                 PATH_SUFFIXES lib lib64)
  endif()
  if(NOT ${variable})
    message(FATAL_ERROR "${soname} is not there: pip install '${package}', or "
                        "name a toolkit by -DEISBACH_CUDA_ROOT=DIR")
  endif()
  add_library(eisbach_${name} INTERFACE)
  target_link_libraries(eisbach_${name} INTERFACE ${${variable}})
  add_library(eisbach::${name} ALIAS eisbach_${name})
endfunction()
eisbach_cuda_library(cudart libcudart.so.13 nvidia-cuda-runtime==13.0.*)
eisbach_cuda_library(cublaslt libcublasLt.so.13 nvidia-cublas)
eisbach_cuda_library(nccl libnccl.so.2 nvidia-nccl-cu13)
eisbach_cuda_library(cudnn libcudnn.so.9 nvidia-cudnn-cu13)
eisbach_cuda_library(nvrtc libnvrtc.so.13 nvidia-cuda-nvrtc==13.0.*)
eisbach_find_cuda(EISBACH_CUDNN_INCLUDE cudnn.h nvidia-cudnn-cu13)
set(_roots ${EISBACH_HINTS})
foreach(dir IN LISTS EISBACH_NVIDIA_DIRS)
  cmake_path(GET dir PARENT_PATH site)
  list(APPEND _roots ${site})
endforeach()
eisbach_find_cuda(EISBACH_CUDNN_FRONTEND_INCLUDE cudnn_frontend.h
                  nvidia-cudnn-frontend)
target_include_directories(eisbach_cudnn SYSTEM INTERFACE
  ${EISBACH_CUDNN_INCLUDE} ${EISBACH_CUDNN_FRONTEND_INCLUDE})
# Headers of cudnn-frontend call NVRTC.
target_link_libraries(eisbach_cudnn INTERFACE eisbach::nvrtc)
target_compile_definitions(eisbach_cudnn INTERFACE CUDNN_FRONTEND_SKIP_JSON_LIB)
