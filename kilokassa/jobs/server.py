"""The HTTP server: gunicorn, set up here and nowhere else."""

from typing import Any

from gunicorn.app.base import BaseApplication

from kilokassa.app.wiring import Application


class _Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn with our settings instead of its own command line."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Hand gunicorn the options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:  # noqa: ANN401 - a WSGI application
        """Make the application in the worker: no connection is shared over a fork."""
        from kilokassa.web.app import create_app

        return create_app()


def serve_forever(
    application: Application, *, host: str, port: int, processes: int, threads: int
) -> None:
    """Serve until a signal stops it."""
    _ = application.secret_key  # made before the workers would each want to make it
    application.database.dispose()
    _Server(
        {
            "bind": f"{host}:{port}",
            "workers": processes,
            "threads": threads,
            "max_requests": 2000,
            "max_requests_jitter": 200,
            "graceful_timeout": 10,
            "loglevel": "warning",
            "proc_name": "kilokassa",
            "control_socket_disable": True,
        }
    ).run()
