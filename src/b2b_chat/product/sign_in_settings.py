"""The settings of signing in, of mails, invites and keys, by environment variable."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from b2b_chat.kit.settings import Secret


class SignInSettings(Struct, frozen=True, kw_only=True):
    """The part of `ProductSettings` about signing in, and about how often people may try."""

    public_url: Annotated[
        str, Meta(min_length=1, description="Base URL at which browsers find product_api; links in mails start with it")
    ] = "http://127.0.0.1:8000"
    trusted_proxies: Annotated[
        str, Meta(description="Networks whose X-Forwarded-For is believed, as 10.0.0.0/8, 127.0.0.1; none if empty")
    ] = ""
    cookie_secure: Annotated[
        bool, Meta(description="Send the session cookie over TLS only, as __Host-session; required in prod")
    ] = False
    cookie_samesite: Annotated[
        Literal["strict", "lax", "none"], Meta(description="When the session cookie is sent on requests of other sites")
    ] = "lax"
    email_from: Annotated[
        str | None,
        Meta(description="Sender of mails, as chat@example.com or Name <chat@example.com>; required in prod"),
    ] = None
    smtp_host: Annotated[
        str | None, Meta(description="Mail server; without one mails wait in the database; required in prod")
    ] = None
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="Its port; 465 speaks TLS from the first byte")] = 587
    smtp_user: Annotated[str | None, Meta(description="Account on the mail server")] = None
    smtp_password: Annotated[Secret | None, Meta(description="Its password")] = None
    smtp_use_tls: Annotated[
        bool, Meta(description="Encrypt, by STARTTLS or on port 465 from the first byte, and check the certificate")
    ] = True
    smtp_implicit_tls: Annotated[
        bool, Meta(description="Speak TLS from the first byte on another port than 465, too")
    ] = False
    smtp_ca_file: Annotated[
        str | None, Meta(description="File of certificates to trust beside the system's, for a private mail server")
    ] = None
    smtp_timeout_seconds: Annotated[float, Meta(ge=1, le=300, description="Longest handover of a mail, seconds")] = 60.0

    mail_poll_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="Pause between looks for mails to write and to send, seconds")
    ] = 1.0

    session_idle_seconds: Annotated[
        int, Meta(ge=300, le=31_536_000, description="A session that is not used so long ends, seconds")
    ] = 604_800
    session_absolute_seconds: Annotated[
        int, Meta(ge=300, le=31_536_000, description="A session ends so long after signing in, seconds")
    ] = 2_592_000
    operator_session_idle_seconds: Annotated[
        int, Meta(ge=300, le=86_400, description="An operator's session that is not used so long ends, seconds")
    ] = 1800
    operator_session_absolute_seconds: Annotated[
        int, Meta(ge=300, le=604_800, description="An operator's session ends so long after signing in, seconds")
    ] = 43_200
    operator_networks: Annotated[
        str, Meta(description="Networks that /admin and /operator may be called from, as 10.0.0.0/8; all if empty")
    ] = ""
    operator_second_factor: Annotated[
        bool | None, Meta(description="Ask operators for a second factor; unset: in prod, which refuses false")
    ] = None
    step_up_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=3600,
            description="How long a second factor counts for keys, owners and credits, and it or a sign-in for ending "
            "other sessions, seconds",
        ),
    ] = 600
    second_factor_guesses_per_hour: Annotated[
        int, Meta(ge=3, le=100, description="Wrong codes of a second factor that a person may enter, per hour")
    ] = 10
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
            description="Wrong codes for an address, per day; counted apart for the client that asked and for others",
        ),
    ] = 10
