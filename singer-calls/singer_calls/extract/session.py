"""A session of requests that asks one vendor, and takes nothing from its surroundings by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from typing_extensions import override

from singer_calls.http.trust import proxy_for, tls_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from singer_calls.http.trust import Proxy

_POOL_CONNECTIONS = 32  # connections to a host: the pool must hold those of all windows in flight


def session(api_url: str, environ: Mapping[str, str]) -> requests.Session:
    """A session for one address.

    ``trust_env`` is off: requests would send what ``~/.netrc`` has for the host, in place of our
    own credentials too, and read proxies and certificates another way than targets do.

    Args:
        api_url: Where it will ask.
        environ: Names proxy and certificate authorities.

    Raises:
        SettingsError: It names some that can't be used.
    """
    proxy = proxy_for(api_url, environ)
    result = requests.Session()
    result.trust_env = False
    if proxy is not None:
        result.proxies = {"http": proxy.url, "https": proxy.url}
    context = tls_context(environ)
    for scheme in ("https://", "http://"):
        result.mount(scheme, _Adapter(context, proxy))
    return result


class _Adapter(HTTPAdapter):
    """Believes whom the environment says, and gives the proxy its own credentials and no other."""

    def __init__(self, context: ssl.SSLContext, proxy: Proxy | None) -> None:
        self._context = context
        self._proxy = proxy
        super().__init__(pool_maxsize=_POOL_CONNECTIONS)

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    @override
    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        contexts = {"ssl_context": self._context, "proxy_ssl_context": self._context}
        return super().proxy_manager_for(proxy, **contexts, **kwargs)

    @override
    def proxy_headers(self, proxy: str) -> dict[str, str]:
        authorization = self._proxy and self._proxy.authorization
        return {"Proxy-Authorization": authorization} if authorization else {}

    @override
    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """The context knows; requests would add another store to it."""
