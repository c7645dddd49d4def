"""Devices: a password for each mail program, invitations to set one up, and the configuration for it.

Others may import `device_passwords`, `devices`, `invitations`, `mail_programs`, `set_up`.
"""
