"""Events: what meters, acts and complaints tell besides readings, and the quality of a service."""
