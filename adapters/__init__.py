"""The outside world, one file per port; `build` wires them by the settings, and imports no more than it wires."""

from actions.ground.ports import Ports
from adapters.archive import EncryptedArchives
from adapters.demo_mail import DemoMailer, DemoSms
from adapters.letters import TemplateLetters
from adapters.memory import MemoryMailServer, NoBreachedPasswords, NoSms
from adapters.smtp import SmtpMailer
from settings import Settings


def build(settings: Settings) -> Ports:
    """The real ports. A demo without a mail server or an SMTP server gets twins that stay on this machine."""
    return Ports(
        settings=settings,
        mail_server=_mail_server(settings),
        mailer=_mailer(settings),
        letters=TemplateLetters(settings),
        breaches=_breaches(settings),
        archiver=EncryptedArchives(settings.archive_fonts),
        sms=_sms(settings),
    )


def _mail_server(settings: Settings):
    if settings.has_mail_server:
        from adapters.dovecot.doveadm import DoveadmMailServer

        return DoveadmMailServer(settings.doveadm_url, settings.doveadm_key, settings.dovecot_version)
    return MemoryMailServer()


def _mailer(settings: Settings):
    if settings.keeps_mail:
        return DemoMailer(settings.instance / "demo-mail")
    return SmtpMailer(settings.smtp_url, settings.sender_address)


def _breaches(settings: Settings):
    if settings.pwned_passwords:
        from adapters.pwned import PwnedPasswords

        return PwnedPasswords(settings.pwned_passwords_url)
    return NoBreachedPasswords()


def _sms(settings: Settings):
    if settings.keeps_sms:
        return DemoSms(settings.instance / "demo-sms")
    if not settings.has_sms:
        return NoSms()
    from adapters.sms import HttpSms, KannelSms

    return KannelSms(settings) if settings.sms_url.startswith("kannel") else HttpSms(settings)
