# Language models: HTTP, wire formats, spool, replay. Nothing of campaigns in here.
add_library(ws_llm STATIC http.c http_loop.c llm.c llm_anthropic.c llm_call.c llm_key.c llm_openai.c llm_outcome.c
  llm_price.c llm_replay.c llm_send.c llm_spool.c llm_spool_file.c llm_wire.c)
target_link_libraries(ws_llm PUBLIC ws_base PkgConfig::UV PRIVATE PkgConfig::CURL m)
set_property(SOURCE llm_price.c PROPERTY COMPILE_DEFINITIONS
  WS_LLM_PRICES="${CMAKE_CURRENT_SOURCE_DIR}/prices.json")
set_property(SOURCE llm_price.c PROPERTY OBJECT_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/prices.json)
