"""Who pays how much of a house's heat.

Owns the price of heat, the settings of heated houses and the sharing of a house's month between
its flats. Invariants: the flats' kilocalories and kopecks sum to the house's, each of them; nothing
is rounded before the last step; renumbering flats changes nothing. Boundary: values in, values
out; billing posts them; meters are read by `metering`.
"""
