"""Whose heat is whose: a house's heat of a month shared among its flats, to the kopeck.

Owns heat prices, the heating settings of houses and the statutory ways of sharing. Invariants: the
flats' kilocalories sum to the house's and their amounts to its amount; the order and the numbers of
flats change nothing; what the formulas leave unclear is a finding, never hidden. Boundary: holds
ids of buildings and premises, reads no meter, posts nothing; what it returns are values.
"""
