"""What production refuses in its settings. Below the settings, which ask it."""
