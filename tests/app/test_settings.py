from pathlib import Path

import pytest

from kilokassa.app.settings import BadSetting, Settings
from kilokassa.app.wiring import Application, open_application
from kilokassa.core.text import Language, gettext


def test_without_any_variable_the_database_is_a_file_under_var(monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)

    settings = Settings.from_env({})

    assert settings.database_url == f"sqlite:///{tmp_path / 'var' / 'kilokassa.sqlite'}"
    assert (settings.port, settings.executor, settings.smtp) == (8000, "process", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "0"),
        ("PORT", "70000"),
        ("KILOKASSA_DATABASE_URL", "mysql://host/name"),
        ("KILOKASSA_SECRET_KEY", "short"),
        ("KILOKASSA_LANGUAGE", "fr"),
        ("KILOKASSA_WORKERS", "-1"),
        ("KILOKASSA_EXECUTOR", "threads"),
        ("KILOKASSA_SECURE_COOKIES", "yes"),
        ("KILOKASSA_SMTP_SENDER", "nobody"),
        ("KILOKASSA_SMTP_SECURITY", "ssh"),
        ("KILOKASSA_SMTP_PORT", "smtp"),
    ],
)
def test_a_malformed_variable_stops_the_start_with_a_sentence_that_names_it(name: str, value: str):
    environ = {"KILOKASSA_SMTP_HOST": "mail.example", "KILOKASSA_SMTP_SENDER": "a@b.example"}

    with pytest.raises(BadSetting) as refusal:
        Settings.from_env(environ | {name: value})

    for language in Language:
        said = refusal.value.sentence(lambda text, spoken=language: gettext(text, spoken))
        assert name in said
        assert "%(" not in said
        assert "\n" not in said


def test_a_refused_setting_never_repeats_a_secret():
    with pytest.raises(BadSetting) as key:
        Settings.from_env({"KILOKASSA_SECRET_KEY": "hunter2"})
    with pytest.raises(BadSetting) as url:
        Settings.from_env({"KILOKASSA_DATABASE_URL": "mysql://me:hunter2@host/name"})

    assert "hunter2" not in str(key.value)
    assert "hunter2" not in str(url.value)


def test_a_postgresql_url_is_spoken_by_its_driver():
    settings = Settings.from_env({"KILOKASSA_DATABASE_URL": "postgresql://me@host/name"})

    assert settings.database_url == "postgresql+psycopg://me@host/name"


def test_a_secret_key_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path):
    application = _application(tmp_path)

    first, second = application.secret_key, _application(tmp_path).secret_key

    assert first == second
    assert len(first) >= 32
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def _application(var: Path) -> Application:
    return open_application({"KILOKASSA_VAR": str(var)})
