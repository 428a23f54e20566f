"""The registry: places, points and channels as they are registered, and what is known of them."""
