"""uvicorn's connections, which can also be cut: `scope["state"]["abort"]()`."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """Of a browser."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.app_state = {**self.app_state, "abort": self._abort}

    def _abort(self) -> None:
        self.transport.abort()
