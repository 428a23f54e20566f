"""Where the subjects meet: who owes what for which month, and why.

Owns accounts and their terms, charge lines, billing runs and their parts, recalculation and the
runway. Invariants: a month is closed once for an account; a repeated run changes nothing; a
correction is a reversing and a right line and one net posting; the preview is the bill. Boundary:
asks the siblings in turn and is the only one that may; makes no document and opens no transaction.
"""
