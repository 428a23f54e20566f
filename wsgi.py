"""What a WSGI server loads: `gunicorn wsgi:app`."""

from kilokassa.web.app import create_app

app = create_app()
