-- SPDX-License-Identifier: MIT
-- What litter.lua requires.
return { registry = require "qemunet".test }
