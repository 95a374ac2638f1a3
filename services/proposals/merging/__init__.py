"""Similar proposals, merges with consent, amendments."""
