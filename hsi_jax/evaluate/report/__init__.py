"""One self-contained HTML page about one or several runs.

`classes`, `devices` and `maps` prepare what the page shows of a run, `comparing` what it shows of
several, and `page` adds the figures and fills the template.
"""
