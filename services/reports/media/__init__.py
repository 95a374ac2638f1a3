"""Photos and voice notes: taken in, made anew, kept, and shown."""
