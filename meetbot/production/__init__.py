"""What a production process refuses to run with: unsafe settings, and rights that it must not have."""
