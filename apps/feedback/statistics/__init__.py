"""The numbers of review: pure functions of arrays, without Django, database or clock.

Where a number is not defined its value is None and `reason` says why; NaN is never given.
"""
