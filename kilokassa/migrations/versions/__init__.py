"""The steps that the schema has taken, one file each, oldest first."""
