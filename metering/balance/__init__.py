"""The balance of a house, and the flats its remainder points at."""
