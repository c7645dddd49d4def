"""Real servers on loopback ports, each in a directory of its own: Dovecot, Postfix, MariaDB, Kannel, Roundcube and the
panel under uWSGI; and the people, pages and fixtures that several of their users share. The tests, the measurements and
`make demo` use them; nothing here knows a test."""
