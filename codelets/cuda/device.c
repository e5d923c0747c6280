/* SPDX-License-Identifier: BSD-3-Clause */
/* What a worker's GPU has to say of failures. */
#include "cuda/device.h"

void aster_device_fail(struct aster_device *device, const char *kernel, const char *what)
{
    if (!device->error[0])
        snprintf(device->error, sizeof device->error, "%s, kernel %s: %s",
                 device->op ? device->op : "?", kernel, what);
}

const char *aster_device_error(const struct aster_device *device)
{
    return device->error[0] ? device->error : NULL;
}
