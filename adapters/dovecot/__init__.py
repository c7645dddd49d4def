"""Dovecot: `doveadm` speaks to the running server, `config` writes its configuration."""
