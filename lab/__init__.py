"""Real servers on loopback ports, each in a directory of its own: Dovecot, Postfix, MariaDB, Kannel, Roundcube and the
panel under uWSGI. The tests, the measurements and `make demo` use them; nothing here knows a test."""
