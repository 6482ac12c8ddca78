/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * A test of the walls from inside: with POSTHORN_TEST_HOOKS=escape in the environment of `posthorn
 * try`, every service (and every account's process) tries, once its walls are up, what a taken-over
 * one would try, and logs how the kernel answered. test/sandbox reads the log.
 */

/* Does nothing unless the hook is asked for. `who` names the process in the log. */
void escape_attempt(const char *who);
