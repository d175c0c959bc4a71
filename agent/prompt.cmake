# What language models are asked and what they answer: no loop, no store.
add_library(ws_prompt STATIC prompt.c prompt_history.c prompt_parts.c prompt_plan.c prompt_run.c prompt_text.c
  reply.c reply_mend.c reply_split.c reply_strategy.c template.c
  tune_prompt.c tune_prompt_history.c tune_reply.c)
target_link_libraries(ws_prompt PUBLIC ws_tune ws_graph ws_kernelbench ws_base PkgConfig::UV m)
file(GLOB _prompts CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/prompts/*.md)
set_property(SOURCE prompt.c prompt_parts.c tune_prompt.c PROPERTY COMPILE_DEFINITIONS
  WS_PROMPTS="${CMAKE_CURRENT_SOURCE_DIR}/prompts")
set_property(SOURCE prompt.c prompt_parts.c tune_prompt.c PROPERTY OBJECT_DEPENDS "${_prompts}")
