"""One self-contained HTML page about one or several runs.

`reading` takes what a run has left, `classes`, `maps`, `chart`, `charts`, `devices` and
`comparing` make of it what the page shows, and `page` fills the template with that.
"""
