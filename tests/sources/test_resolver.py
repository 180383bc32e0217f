import pytest

from fastrelay.errors import SourceRefusedError
from fastrelay.sources.addresses import AddressPolicy
from fastrelay.sources.resolver import CheckedResolver


@pytest.mark.parametrize("host", ["localhost", "0x7f.0.0.1", "127.0.0.1"])
async def test_a_name_that_leads_to_refused_addresses_only_is_refused(host: str) -> None:
    with pytest.raises(SourceRefusedError, match="loopback"):
        await CheckedResolver(AddressPolicy(())).resolve(host, 80)


async def test_only_allowed_addresses_are_handed_out_and_as_numbers() -> None:
    (found,) = await CheckedResolver(AddressPolicy(("127.0.0.0/8",))).resolve("localhost", 81)
    assert (found["hostname"], found["host"], found["port"]) == ("localhost", "127.0.0.1", 81)


async def test_of_several_addresses_the_refused_ones_are_dropped() -> None:
    """Debian resolves `localhost` to 127.0.0.1 and ::1; where it has one only, nothing is there to drop."""
    both = {
        found["host"] for found in await CheckedResolver(AddressPolicy(("127.0.0.0/8", "::1"))).resolve("localhost")
    }
    only = {found["host"] for found in await CheckedResolver(AddressPolicy(("127.0.0.0/8",))).resolve("localhost")}
    assert only == {"127.0.0.1"} <= both


@pytest.mark.parametrize("host", ["nothing.invalid", "a" * 70 + ".example", "a..b"])
async def test_a_name_that_does_not_resolve_is_an_os_error(host: str) -> None:
    with pytest.raises(OSError):
        await CheckedResolver(AddressPolicy(())).resolve(host, 80)
