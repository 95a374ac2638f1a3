"""What can go wrong with the machine, said so that a person can act on it."""


class InfraError(Exception):
    """The machine cannot do what was asked; the message says what to do."""
