"""The commands: run, launch, compare, simulate."""

import sys

if sys.argv[:1] == ["-m"]:  # Python is starting one of them; see sys.argv in its documentation
    from experiments import environment, streams

    streams.open_closed_streams()
    streams.secure_streams()
    environment.prepare()
