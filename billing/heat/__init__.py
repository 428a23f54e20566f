"""The heat of houses with a meter of their own, shared among all premises."""
