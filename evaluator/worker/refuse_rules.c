/* SPDX-License-Identifier: MIT */
#include "evaluator/worker/refuse_rules.h"

#include <stddef.h>

#define HEAP "the device heap outlives a run, so that results could be kept from one run to the " \
             "next; declare scratch in the plan instead"
#define DEVICE_RUNTIME "the device runtime can start work outside the plan's timed launches; only " \
                       "the plan launches kernels"
#define MANAGED "managed memory moves pages behind the clock; declare scratch in the plan instead"
#define L2_POLICY "an L2 policy: persisting lines are reset and the L2 is flushed before each " \
                  "timed run, so nothing is gained from one run to the next"
#define CLOCK "reads a clock"

const struct refuse_rule refuse_rules[] = {
    { "dependent_launch", PLACE_OPCODE, "griddepcontrol", REFUSE_LEVEL_PROGRAMMATIC,
      "work may go on past the end of the timed run; declare the launch programmatic" },
    { "device_heap", PLACE_EXTERN, "malloc", REFUSE_LEVEL_NEVER, HEAP },
    { "device_heap", PLACE_EXTERN, "free", REFUSE_LEVEL_NEVER, HEAP },
    { "device_runtime", PLACE_EXTERN, "cuda*", REFUSE_LEVEL_NEVER, DEVICE_RUNTIME },
    { "device_runtime", PLACE_EXTERN, "__cuda*", REFUSE_LEVEL_NEVER, DEVICE_RUNTIME },
    { "device_runtime", PLACE_EXTERN, "cnp*", REFUSE_LEVEL_NEVER, DEVICE_RUNTIME },
    { "device_runtime", PLACE_REGISTER, "%current_graph_exec", REFUSE_LEVEL_NEVER, DEVICE_RUNTIME },
    { "print", PLACE_EXTERN, "vprintf", REFUSE_LEVEL_REMARK, "prints; nobody reads it" },
    { "assert", PLACE_EXTERN, "__assertfail", REFUSE_LEVEL_REMARK, "asserts" },
    { "unresolved", PLACE_EXTERN, "*", REFUSE_LEVEL_NEVER,
      "nothing but this file is linked; define it here" },
    { "unresolved", PLACE_TEXT, "", REFUSE_LEVEL_NEVER,
      "nothing but this file is linked; define the variable here" },
    { "managed_memory", PLACE_PART, "managed", REFUSE_LEVEL_NEVER, MANAGED },
    { "managed_memory", PLACE_PART, "unified*", REFUSE_LEVEL_NEVER, MANAGED },
    { "launch_number", PLACE_REGISTER, "%gridid", REFUSE_LEVEL_NEVER,
      "it tells one launch from another; a kernel's work depends on its arguments alone" },
    { "memory_mapped_io", PLACE_PART, "mmio", REFUSE_LEVEL_NEVER,
      "memory-mapped I/O has no place in a kernel" },
    { "unreadable", PLACE_TEXT, "", REFUSE_LEVEL_NEVER,
      "this text could be read in two ways; leave backslashes and '#' out of inline assembly" },
    { "l2_policy", PLACE_OPCODE, "createpolicy", REFUSE_LEVEL_REMARK, L2_POLICY },
    { "l2_policy", PLACE_OPCODE, "applypriority", REFUSE_LEVEL_REMARK, L2_POLICY },
    { "l2_policy", PLACE_PART, "L2::evict_last", REFUSE_LEVEL_REMARK, L2_POLICY },
    { "l2_policy", PLACE_PART, "L2::cache_hint", REFUSE_LEVEL_REMARK, L2_POLICY },
    { "discard", PLACE_OPCODE, "discard", REFUSE_LEVEL_REMARK,
      "discards cache lines; what they held is lost" },
    { "clock", PLACE_REGISTER, "%clock*", REFUSE_LEVEL_REMARK, CLOCK },
    { "clock", PLACE_REGISTER, "%globaltimer*", REFUSE_LEVEL_REMARK, CLOCK },
    { "counter", PLACE_REGISTER, "%pm*", REFUSE_LEVEL_REMARK, "reads a performance counter" },
    { "sleep", PLACE_OPCODE, "nanosleep", REFUSE_LEVEL_REMARK, "sleeps" },
    { NULL, PLACE_TEXT, "", REFUSE_LEVEL_REMARK, NULL },
};

const struct refuse_rule refuse_crowded
    = { "crowded", PLACE_TEXT, "", REFUSE_LEVEL_NEVER,
        "too many functions do what may be refused; leave out what isn't launched" };
