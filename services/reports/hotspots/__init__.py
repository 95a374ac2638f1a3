"""Where problems gather more than chance explains, and where nobody reports any."""
