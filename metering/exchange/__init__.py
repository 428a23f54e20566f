"""Exchange with other systems: codes, areas and numbers of 80020."""
