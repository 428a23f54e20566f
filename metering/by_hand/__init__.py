"""Readings by hand: of residents in their window, of a walk-round, with photographs."""
