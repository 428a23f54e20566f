"""Tables of heating."""
