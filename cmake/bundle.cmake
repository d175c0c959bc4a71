# bundle: a folder that runs on another Linux machine with no packages installed: programs, every
# library but glibc and the driver, NVRTC with its headers, tasks, kernels and memory.
# bundle-thin: the same without NVRTC and headers, for machines with a toolkit of their own.
install(TARGETS warpsmith warpsmith-worker RUNTIME DESTINATION bin)
install(TARGETS warpsim LIBRARY DESTINATION lib)
install(DIRECTORY kernels DESTINATION share/warpsmith PATTERN README.md EXCLUDE)
install(DIRECTORY kernelbench/tasks DESTINATION share/warpsmith/kernelbench)
install(FILES kernelbench/oracle.py kernelbench/oracle_compare.py kernelbench/oracle_inputs.py kernelbench/oracle_problem.py kernelbench/oracle_protocol.py kernelbench/oracle_selftest.py
  DESTINATION share/warpsmith/kernelbench)
install(DIRECTORY tests/exploits tests/honest tests/hostile tests/mutants tests/sanitize DESTINATION share/warpsmith/tests)
install(DIRECTORY tests/cases/timing DESTINATION share/warpsmith/tests/cases)
install(FILES LICENSE DESTINATION share/warpsmith)

foreach(kind bundle bundle-thin)
  add_custom_target(${kind}
    COMMAND ${CMAKE_COMMAND} -DKIND=${kind} -DBUILD=${CMAKE_BINARY_DIR}
      -DOUT=${CMAKE_SOURCE_DIR}/dist/${kind} -DCUDA=${WS_CUDA_ROOT} -DNVRTC=${WS_NVRTC}
      -P ${CMAKE_SOURCE_DIR}/cmake/make_bundle.cmake
    DEPENDS warpsmith warpsmith-worker warpsim
    USES_TERMINAL)
endforeach()
