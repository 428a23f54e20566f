"""What energy costs: plans, their published versions, and the one function that rates.

Owns tariff documents (YAML), the compilation of a version to a calendar of zones, the vector
kernel and the slow oracle that judges it. Invariants: a published version is never edited; a line
is rounded once, half up; the preview, the live balance and the bill call the same function.
Boundary: knows energy and rates, no account, no wallet, no meter.
"""
