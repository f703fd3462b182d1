"""What a rival's failure is."""


class RivalFailedError(Exception):
    """A rival could not be installed, did not start or did not answer; the message has the end of its log."""
