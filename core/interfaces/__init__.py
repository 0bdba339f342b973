"""Where people meet the system: command line, live view, shell and a page on loopback.

This room turns pictures of a system into text and people's wishes into requests. It decides
nothing about trading and does no trading arithmetic; units become text in `text` only.
"""
