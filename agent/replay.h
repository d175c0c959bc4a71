#pragma once
/* SPDX-License-Identifier: MIT */
struct replay;
