"""What energy costs: plans, their published versions, and the one function that rates.

Owns tariff documents (YAML), the compilation of a version to whole numbers that all meters share,
the vector kernel and the slow oracle that judges it; explanations, comparisons and the guarantee
are computed by the same kernel. Invariants: a published version is never edited; a line is rounded
once, half up; the preview, the live balance and the bill call the same function; what is not known
is refused, never guessed. Boundary: knows energy, rates and facts in columns, no account, no
wallet, no meter.
"""
