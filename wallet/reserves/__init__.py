"""Reserves: money set aside for a term, its bonus by the day, the offers it is signed under."""
