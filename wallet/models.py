"""Tables of wallet."""
