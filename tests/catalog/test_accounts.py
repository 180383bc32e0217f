"""Which list's account a source is dialled with: a wrong one breaks a provider's limit, or keeps viewers out."""

from fastrelay.catalog.accounts import ProviderAccount, ProviderAccounts
from fastrelay.config import PlaylistEntry
from tests.catalog.kit import Catalogue, entry

URL = "http://provider.example/news"


async def take(catalogue: Catalogue, name: str, limit: int, *urls: str) -> None:
    """Import the list anew with these URLs."""
    catalogue.lists[name] = "#EXTM3U\n" + "".join(entry(f"{name}{n}", url=url) for n, url in enumerate(urls))
    await catalogue.playlists.import_entry(PlaylistEntry(name=name, url=name, max_connections=limit))


async def test_a_relay_belongs_to_the_first_list_with_a_limit_that_has_its_url(catalogue: Catalogue) -> None:
    accounts = ProviderAccounts(catalogue.store)
    await take(catalogue, "free", 0, URL)
    assert await accounts.of("news", URL) is None
    await take(catalogue, "other", 1, URL + "2")
    assert await accounts.of("news", URL) is None
    await take(catalogue, "two", 2, URL + "3", URL)
    await take(catalogue, "three", 3, URL)
    assert await accounts.of("news", URL) == ProviderAccount(3, "two", 2)
    assert await accounts.of("sport", URL + "/") is None


async def test_a_relay_follows_what_its_list_becomes(catalogue: Catalogue) -> None:
    """What has been looked up of an import holds for that import alone."""
    accounts = ProviderAccounts(catalogue.store)
    await take(catalogue, "list", 2, URL)
    assert await accounts.of("news", URL) == ProviderAccount(1, "list", 2)
    await take(catalogue, "list", 5, URL)
    assert await accounts.of("news", URL) == ProviderAccount(1, "list", 5)
    await take(catalogue, "list", 5, URL + "2")
    assert await accounts.of("news", URL) is None
    await take(catalogue, "list", 5, URL)
    assert await accounts.of("news", URL) == ProviderAccount(1, "list", 5)
    await take(catalogue, "list", 0, URL)
    assert await accounts.of("news", URL) is None
    await take(catalogue, "list", 1, URL)
    await catalogue.playlists.delete(1)
    assert await accounts.of("news", URL) is None


async def test_a_channel_has_the_account_of_the_list_it_comes_from(catalogue: Catalogue) -> None:
    """Also where another list has the same URL, and where that list has no limit."""
    accounts = ProviderAccounts(catalogue.store)
    await take(catalogue, "limited", 2, URL)
    await take(catalogue, "free", 0, URL)
    (_, first), (_, second) = await catalogue.ids()
    assert await accounts.of(f"channel:{first}", URL) == ProviderAccount(1, "limited", 2)
    assert await accounts.of(f"channel:{second}", URL) == ProviderAccount(2, "free", 0)
    assert await accounts.of(f"channel:{first}", URL + "2") is None
    assert await accounts.of("channel:99", URL) is None
