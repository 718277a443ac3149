-- SPDX-License-Identifier: MIT
-- The exit statuses.

return { PASSED = 0, FAILED = 1, USAGE = 2, MACHINERY = 3, TIMED_OUT = 4, UNSOUND = 5, INTERRUPTED = 130 }
