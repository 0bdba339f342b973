"""Numbers, judgement and pictures from a `SessionRecord`, whatever kind of session it was.

Reads records and nothing else: no journal, no engine, no venue. Money stays in integers until it
is shown. Drawing libraries are imported only when something is drawn.
"""
