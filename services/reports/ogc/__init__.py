"""OGC API – Features, Part 1: Core (17-069r4), over the public columns."""
