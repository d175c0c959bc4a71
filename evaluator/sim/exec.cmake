# The PTX front end and the block executor: sources, and the flags they need. Included by this
# folder's CMakeLists.txt, which adds ${SIM_EXEC_SOURCES} to libwarpsim.
set(SIM_EXEC_SOURCES ptx.c ptx_body.c ptx_lex.c ptx_sym.c ptx_type.c ptx_var.c)
