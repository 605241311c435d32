"""Whatever keeps a connection from coming about, nothing was sent: no call is held for it."""

from __future__ import annotations

import inspect

import aiohttp
import pytest
from aiohttp import client_exceptions

from singer_calls.deliver.failures import not_opened
from singer_calls.deliver.outcome import Fatal, Retry

CLASSES = [
    member
    for _, member in inspect.getmembers(client_exceptions, inspect.isclass)
    if issubclass(member, Exception)
] + [OSError, TimeoutError, ValueError, RuntimeError]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("proxied", [True, False])
def test_every_failure_to_connect_is_told_and_none_is_unknown(cls, proxied):
    """Also one of a class that a later aiohttp adds."""
    failure = cls.__new__(cls)
    failure.__dict__.update(status=0, _certificate_error=ValueError())
    outcome = not_opened(failure, proxied=proxied)
    assert isinstance(outcome, Retry | Fatal)
    assert outcome.reason


def test_through_a_proxy_the_proxy_is_named():
    """The vendor is found by the proxy; we find only the proxy."""
    for failure in (OSError(), aiohttp.ServerDisconnectedError(), ValueError()):
        assert "proxy" in not_opened(failure, proxied=True).reason
        assert "proxy" not in not_opened(failure, proxied=False).reason
