"""Photos and documents of proposals, reviews and works."""
