"""Auto top-up: what residents agreed to, and what became of each payment that was asked for."""
