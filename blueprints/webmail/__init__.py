"""What a webmail's server asks of Postern: no browser has anything to do here."""
