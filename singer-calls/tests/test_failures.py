"""Every way a request can fail has a row that says whether the vendor may have processed it."""

from __future__ import annotations

import inspect

import aiohttp
import pytest
from aiohttp import client_exceptions

from singer_calls.deliver.failures import FAILURES, outcome_of
from singer_calls.deliver.outcome import Fatal, Retry, Unknown

AIOHTTP = [
    member
    for _, member in inspect.getmembers(client_exceptions, inspect.isclass)
    if issubclass(member, Exception)
]

# What a connector raises before a byte of the request is out.
NOT_SENT = {
    aiohttp.ClientConnectorError,
    aiohttp.ClientConnectorDNSError,
    aiohttp.ClientConnectorSSLError,
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientSSLError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientProxyConnectionError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    client_exceptions.UnixClientConnectorError,
}


@pytest.mark.parametrize("failure", AIOHTTP, ids=lambda cls: cls.__name__)
def test_every_exception_of_the_client_has_a_row(failure):
    """A new exception class of aiohttp can't slip through without an outcome."""
    row = next((FAILURES[cls] for cls in failure.__mro__ if cls in FAILURES), None)
    if issubclass(failure, aiohttp.WSMessageTypeError):
        assert row is None  # web sockets only
        return
    assert isinstance(row, Retry | Unknown | Fatal)
    assert isinstance(row, Retry) == (failure in NOT_SENT)


@pytest.mark.parametrize(
    "failure",
    [
        ConnectionResetError(),
        BrokenPipeError(),
        TimeoutError(),
        OSError(5, "Input/output error"),
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientPayloadError(),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_request_that_left_without_an_answer_is_unknown(failure):
    """Nothing that happens after the first byte may count as not processed."""
    assert isinstance(outcome_of(failure), Unknown)


def test_a_fault_of_the_program_is_no_outcome():
    """A TypeError says nothing about a call and must stop the run."""
    assert outcome_of(TypeError()) is None
