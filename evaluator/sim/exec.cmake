# The PTX front end and the block executor: sources, and the flags they need. Included by this
# folder's CMakeLists.txt, which adds ${SIM_EXEC_SOURCES} to libwarpsim.
set(SIM_EXEC_SOURCES)
