"""The gateway's HTTP doors: translation between requests and use cases, nothing else.

Reading order: `routes` (every route, its access rule and what it answers, in one table), `problems` (every error code and
its HTTP answer, in one table), `middleware` (the one wrapper around handlers), `bodies`, then the handlers `commitments`,
`records`, `meta`, and `ops` for the operators' listener.
"""
