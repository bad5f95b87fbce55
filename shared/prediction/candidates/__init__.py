"""Ranked candidate routings for items: which operations, in which order, on which work centres, and how probable."""
