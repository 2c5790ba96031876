"""The settings of signing in, of invites and of keys, by environment variable."""

from typing import Annotated

from msgspec import Meta, Struct


class SignInSettings(Struct, frozen=True, kw_only=True):
    """Those of `ProductSettings` that say who is let in, and how often somebody may ask for it."""

    session_idle_seconds: Annotated[
        int, Meta(ge=300, le=31_536_000, description="A session that is not used so long ends, seconds")
    ] = 604_800
    session_absolute_seconds: Annotated[
        int, Meta(ge=300, le=31_536_000, description="A session ends so long after signing in, seconds")
    ] = 2_592_000
    login_lifetime_seconds: Annotated[
        int, Meta(ge=60, le=3600, description="How long a login link and its code work, seconds")
    ] = 600
    invite_lifetime_seconds: Annotated[
        int, Meta(ge=60, le=7_776_000, description="How long an invite can be accepted, seconds")
    ] = 604_800
    invite_mails_per_company_hour: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Invites that a company has mailed, resent ones too, per hour")
    ] = 300
    invite_mails_per_mailbox_hour: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Invites to a mailbox, whatever its sub-addresses, per hour")
    ] = 10
    invite_mails_per_domain_hour: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Invites to addresses of a domain that is no public provider's, per hour"),
    ] = 200
    max_open_invites: Annotated[int, Meta(ge=1, le=100_000, description="Open invites of a company at once")] = 100
    max_api_keys_per_user: Annotated[
        int, Meta(ge=1, le=10_000, description="Keys of a user in a company that work at once")
    ] = 20

    login_rpm_per_ip: Annotated[
        int,
        Meta(
            ge=1, le=10_000_000, description="Requests for a login link and attempts to sign in from an IP, per minute"
        ),
    ] = 30
    ipv6_site_limit_times: Annotated[
        int, Meta(ge=1, le=65_536, description="So many times a limit by IP, all of an IPv6 /48 together may use")
    ] = 8
    login_mails_per_email_ip_hour: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Login mails to an address asked for from one IP, per hour")
    ] = 10
    login_mails_per_email_hour: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Login mails to an address, per hour")
    ] = 20
    login_mails_per_known_browser_hour: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Login mails to an address beside those, for each browser that signed in with it, per hour",
        ),
    ] = 5
    known_browser_seconds: Annotated[
        int,
        Meta(ge=3600, le=63_072_000, description="How long a browser that signed in keeps that share, seconds"),
    ] = 15_552_000
    login_mails_per_invited_mailbox_hour: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Login mails to people only invited, to a mailbox whatever its sub-addresses, per hour",
        ),
    ] = 10
    login_mails_per_invited_domain_hour: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Login mails to people only invited, to a domain that is no public provider's, per hour",
        ),
    ] = 200
    login_guesses_per_email_day: Annotated[
        int,
        Meta(
            ge=5,
            le=10_000,
            description="Wrong codes for an address, per day; by who asked for the code and by others apart",
        ),
    ] = 10
