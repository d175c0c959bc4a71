# The PTX front end and the block executor: SIM_EXEC_SOURCES, and the flags that they need in the
# folder that includes this (here, and where the fuzzers build them once more).
set(_here ${CMAKE_CURRENT_LIST_DIR})
set(SIM_EXEC_SOURCES
  ptx.c ptx_body.c ptx_lex.c ptx_operand.c ptx_sym.c ptx_type.c ptx_var.c
  decode.c decode_async.c decode_bits.c decode_bulk.c decode_costs.c decode_cvt.c decode_float.c decode_flow.c
  decode_int.c decode_layout.c decode_matrix.c decode_mbarrier.c decode_mem.c decode_operand.c
  decode_pred.c decode_registers.c
  decode_unroll.c decode_warp.c decode_wgmma.c
  exec.c exec_async.c exec_atom.c exec_bulk.c exec_chain.c exec_fault.c exec_group.c exec_lane.c exec_matrix.c
  exec_mbarrier.c exec_mem.c exec_profile.c exec_run.c exec_wgmma.c check_race.c
  ops_plain.c ops_scalar.c l1.c vmem.c vmem_data.c)

# Loops over 32 lanes are written to become vector code, so they are optimised in every build but a
# sanitized one. No contraction: a multiplication and an addition of the kernel round twice.
set(_ops_flags -fno-trapping-math -ffp-contract=off)
if(NOT WARPSMITH_SANITIZE)
  list(APPEND _ops_flags -O3)
endif()
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  list(APPEND _ops_flags -Wno-pass-failed)
endif()
set_source_files_properties(${_here}/ops_plain.c PROPERTIES COMPILE_OPTIONS "${_ops_flags}")
set_source_files_properties(${_here}/ops_scalar.c PROPERTIES COMPILE_OPTIONS
  "-frounding-math;-ffp-contract=off")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND SIM_EXEC_SOURCES ops_avx2.c ops_avx512.c)
  set(_avx2 -mavx2 -mfma -mf16c -mbmi -mbmi2 -mpopcnt -mlzcnt)
  set_source_files_properties(${_here}/ops_avx2.c PROPERTIES COMPILE_OPTIONS "${_ops_flags};${_avx2}")
  set_source_files_properties(${_here}/ops_avx512.c PROPERTIES COMPILE_OPTIONS
    "${_ops_flags};${_avx2};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mprefer-vector-width=512")
endif()
list(TRANSFORM SIM_EXEC_SOURCES PREPEND ${_here}/)
