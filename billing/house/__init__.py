"""The other services of a house: who is charged for what, by which price and volume."""
