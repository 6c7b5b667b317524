"""The one error that is the user's to mend."""


class InputError(ValueError):
    """A value given by the user cannot be used.

    The message names the value, the place it came from and what to do. The command line prints it
    as one line without a traceback.
    """
