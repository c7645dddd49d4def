"""What the screens share: sessions, guards, replies, errors, words. No routes of people's pages here."""
