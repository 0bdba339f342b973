"""The venue's protocol: what its HTTP and websocket clients see and may send."""
