"""Common-area electricity of houses: each month settled once, in a row of its own."""
