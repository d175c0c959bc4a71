# What language models are asked and what they answer: no loop, no store.
add_library(ws_prompt STATIC reply.c reply_mend.c reply_split.c reply_strategy.c)
target_link_libraries(ws_prompt PUBLIC ws_graph ws_kernelbench ws_base PkgConfig::UV m)
