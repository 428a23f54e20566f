"""What registers that are read by hand counted, as charge lines."""
