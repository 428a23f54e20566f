"""Where energy is measured: places, points, meters, channels, and every reading of them.

Owns buildings and premises (other subjects hold their ids), metering points, meters with their
life, channels, the interval store and register readings, and the findings about all of them.
Invariants: one row a channel and local day, whole watt-hours on a regular grid; a known value that
changes is a revision and what it replaced can be read back; nothing is dropped in silence: it is
stored, or it is a finding. Boundary: knows no money, no tariff, no account.
"""
