"""Tunes in ABC: read, played and drawn; needs the extra `music`."""
