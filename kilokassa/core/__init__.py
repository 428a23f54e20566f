"""Value types every other package shares; imports none of them.

Owns: money and its one rounding, whole quantities, half-open periods, the local calendar, the
zones of a day, series on a regular grid, sharing without remainder, ids, scopes, refusals, the
clock and the two languages. Invariants: everything is frozen and exact; no float stands for money
or energy; instants are UTC. Boundary: no database, no settings, no present time but `SystemClock`.
"""
