#!/bin/sh
# SPDX-License-Identifier: MIT
# Interfaces and disks of machines from warm templates: test_template_devices.lua.
exec sh "$(dirname "$0")/test_template.sh" test_template_devices.lua
