/* SPDX-License-Identifier: MIT */
/* The gateway from start to end, as `sluice run` calls it. */
#ifndef USER_CONTROL_GATEWAY_RUN_H
#define USER_CONTROL_GATEWAY_RUN_H

#include "common/fault.h"
#include "user/control/config.h"

/**
 * gateway_run() - Start the gateway of a configuration, run it until SIGTERM or SIGINT, drain it, leave nothing behind.
 * @cfg: checked; stays the caller's
 * @f:   why it could not start, or why it had to stop
 *
 * Return: 0 after a signal, -EADDRINUSE when the instance is running, -EBUSY when a device is taken, -EPERM when
 * privileges are missing, or another -errno
 */
int gateway_run(const struct config *cfg, struct fault *f);

#endif
