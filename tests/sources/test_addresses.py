import pytest

from fastrelay.config import Sources
from fastrelay.errors import SourceRefusedError
from fastrelay.sources.addresses import AddressPolicy, is_own_address

EVERYTHING = ("0.0.0.0/0", "::/0")

NEVER = [
    ("169.254.169.254", "metadata"),
    ("100.100.100.200", "metadata"),
    ("168.63.129.16", "metadata"),
    ("fd00:ec2::254", "metadata"),
    ("fd20:ce::254", "metadata"),
    ("169.254.1.1", "link-local"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local"),
    ("0.0.0.0", "unspecified"),
    ("0.1.2.3", "unspecified"),
    ("::", "unspecified"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("ff02::1", "multicast"),
    ("255.255.255.255", "broadcast"),
    ("::ffff:169.254.169.254", "metadata"),
    ("::169.254.169.254", "metadata"),
    ("64:ff9b::a9fe:a9fe", "metadata"),
    ("2002:a9fe:a9fe::1", "metadata"),
]
EMBEDDED_LOOPBACK = [
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b:1::127.0.0.1",
    "2002:7f00:1::1",
    "2001:0:7f00:1::8080:8080",  # Teredo through a server on loopback
    "2001:0:808:808::80ff:fffe",  # Teredo whose client is 127.0.0.1
]


@pytest.mark.parametrize(("address", "rule"), NEVER)
def test_some_addresses_are_refused_whatever_is_listed(address: str, rule: str) -> None:
    assert rule in (AddressPolicy(EVERYTHING).check(address, 80) or "")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert AddressPolicy(()).check(address, 80) is None


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"]
)
def test_private_addresses_are_allowed_where_listed(address: str) -> None:
    assert AddressPolicy(Sources().allow_networks).check(address, 80) is None
    assert "private" in (AddressPolicy(()).check(address, 80) or "")


@pytest.mark.parametrize("address", ["240.0.0.1", "192.0.2.1", "198.18.0.1", "2001:db8::1", "fec0::1"])
def test_reserved_addresses_are_not_public(address: str) -> None:
    assert AddressPolicy(Sources().allow_networks).check(address, 80)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.0.1", "::1", *EMBEDDED_LOOPBACK])
def test_loopback_needs_to_be_listed_in_whatever_form_it_comes(address: str) -> None:
    assert "loopback" in (AddressPolicy(Sources().allow_networks).check(address, 80) or "")
    assert AddressPolicy(("127.0.0.0/8", "::1")).check(address, 80) is None


@pytest.mark.parametrize("address", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433"])
def test_what_is_no_address_is_refused(address: str) -> None:
    assert AddressPolicy(EVERYTHING).check(address, 80) == "not an IP address"


def test_own_listener_is_refused_at_its_port_only() -> None:
    policy = AddressPolicy(("127.0.0.0/8",))
    policy.forbid_listener("127.0.0.1", 8080)
    assert "own listener" in (policy.check("127.0.0.1", 8080) or "")
    assert "own listener" in (policy.check("::ffff:127.0.0.1", 8080) or "")
    assert policy.check("127.0.0.1", 8081) is None
    assert policy.check("127.0.0.2", 8080) is None


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_wildcard_listener_is_refused_at_every_own_address(wildcard: str) -> None:
    policy = AddressPolicy(EVERYTHING, is_own_address=lambda address: address in ("10.0.0.5", "127.0.0.1", "8.8.4.4"))
    policy.forbid_listener(wildcard, 8080)
    for own in ("10.0.0.5", "127.0.0.1", "8.8.4.4"):
        assert "own listener" in (policy.check(own, 8080) or "")
    assert policy.check("10.0.0.6", 8080) is None
    assert policy.check("10.0.0.5", 80) is None


def test_own_addresses_are_told_by_the_machine() -> None:
    assert is_own_address("127.0.0.1") and is_own_address("127.9.9.9")
    assert not is_own_address("192.0.2.1") and not is_own_address("2001:db8::1")


def test_a_refusal_names_host_address_and_rule() -> None:
    with pytest.raises(SourceRefusedError, match=r"evil\.example \(127\.0\.0\.1\).*sources\.allow_networks"):
        AddressPolicy(()).require("evil.example", "127.0.0.1", 80)


def test_a_wrong_network_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        AddressPolicy(("10.0.0.0/99",))
